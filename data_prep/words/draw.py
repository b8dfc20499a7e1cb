"""Words as pixels: each letter is drawn upright several times too large, turned, put on its baseline and averaged down."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from data_prep.clock.scenery import cloud
from data_prep.words.config import WordsConfig, font_file
from data_prep.words.place import Letter, Word

BLUR = 0.3  # standard deviation of what makes a word illegible, font sizes
BLOTCHES = 80  # levels between the darkest and the brightest of a full-strength background


@dataclass(frozen=True)
class Look:
    """Ground and ink of a picture, levels of 0–255."""

    ground: tuple[float, ...]  # red, green, blue
    ink: tuple[float, ...]
    texture: float
    noise: float
    grain: int  # seed of texture and noise


def look(config: WordsConfig, rng: np.random.Generator) -> Look:
    """Ink that differs from the ground by the contrast drawn, darker or lighter as there is room."""
    contrast = config.contrast.draw(rng)
    dark = rng.random() < 0.6
    level = rng.uniform(contrast, 255) if dark else rng.uniform(0, 255 - contrast)
    ground = np.clip(level + rng.uniform(-25, 25, 3), 0, 255)
    ink = np.clip(ground + (-contrast if dark else contrast), 0, 255)
    return Look(
        tuple(map(float, ground)),
        tuple(map(float, ink)),
        config.texture.draw(rng),
        config.noise.draw(rng),
        int(rng.integers(2**31)),
    )


def render(words: list[Word], style: Look, size: int) -> Image.Image:
    """The picture, RGB, size × size pixels."""
    rng = np.random.default_rng(style.grain)
    picture = np.full((size, size, 3), style.ground, dtype=np.float32)
    picture += BLOTCHES * style.texture * (cloud(size, int(rng.integers(3, 9)), rng)[..., None] - 0.5)
    ink = np.array(style.ink, dtype=np.float32)
    for word in words:
        cover = np.asarray(coverage(word, size), dtype=np.float32)[..., None] / np.float32(255)
        picture += cover * (ink - picture)
    if style.noise:
        picture += rng.normal(0, style.noise, picture.shape).astype(np.float32)
    return Image.fromarray(np.clip(picture + 0.5, 0, 255).astype(np.uint8))


def coverage(word: Word, size: int) -> Image.Image:
    """How much of each pixel the word's ink covers: an L image, size × size."""
    factor = max(2, math.ceil(256 / size))
    side = size * factor
    page = Image.new("L", (side, side), 0)
    pixels = max(4, round(word.height * side))
    for letter in word.letters:
        if letter.text != " ":
            _stamp(page, letter, word.font, pixels, side)
    page = page.reduce(factor)
    return page.filter(ImageFilter.GaussianBlur(BLUR * word.height * size)) if word.illegible else page


def _stamp(page: Image.Image, letter: Letter, font: str, pixels: int, side: int) -> None:
    """Put one letter onto the page; where letters touch, the darker ink stands."""
    face = _face(font, pixels)
    reach = 2 * pixels  # the letter's origin is the middle of this tile, so turning leaves it in place
    tile = Image.new("L", (2 * reach, 2 * reach), 0)
    ImageDraw.Draw(tile).text((reach, reach), letter.text, fill=255, font=face, anchor="ms")
    if letter.turn:
        tile = tile.rotate(-letter.turn, resample=Image.Resampling.BICUBIC)
    left, top = round(letter.x * side) - reach, round(letter.y * side) - reach
    box = (max(0, left), max(0, top), min(side, left + 2 * reach), min(side, top + 2 * reach))
    if box[0] >= box[2] or box[1] >= box[3]:
        return
    part = tile.crop((box[0] - left, box[1] - top, box[2] - left, box[3] - top))
    page.paste(ImageChops.lighter(page.crop(box), part), box[:2])


@lru_cache(maxsize=256)
def _face(font: str, pixels: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_file(font), pixels, layout_engine=ImageFont.Layout.BASIC)
