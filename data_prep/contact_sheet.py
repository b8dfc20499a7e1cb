"""One picture that shows what a data set looks like: a few examples of each split with a caption under each."""

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ntil.data.dataset import picture_of
from ntil.data.example import Example, read_examples, read_manifest
from ntil.io import atomic_open

COLUMNS, ROWS = 8, 2  # pictures of each split
CELL, GAP, TEXT, HEADING = 144, 10, 22, 34  # pixels: picture, space between, caption, split name
LONGEST = 200  # characters of a caption that are looked at
PAPER, INK, FAINT = (255, 255, 255), (25, 25, 30), (120, 120, 128)


def said(example: Example) -> str:
    """A caption for any set: what is asked, or where the question is always the same, what is true."""
    return example.query or ", ".join(map(str, example.target.values()))


def contact_sheet(root: Path, caption: Callable[[Example], str], out: Path) -> None:
    """Draw the examples of the data set in `root`, evenly spaced through each split, to the PNG file `out`."""
    root, bands = Path(root), []
    for split in read_manifest(root)["counts"]:
        examples = read_examples(root, split)
        seen = np.flatnonzero([example.image is not None for example in examples])
        if len(seen):
            bands.append(_band(root, split, examples, seen, caption))
    if not bands:
        return  # a text-only set has nothing to show
    sheet = Image.new("RGB", (bands[0].width, sum(band.height for band in bands) + GAP), PAPER)
    top = 0
    for band in bands:
        sheet.paste(band, (0, top))
        top += band.height
    with atomic_open(out, "wb") as file:
        sheet.save(file, format="PNG")


def _band(
    root: Path, name: str, examples: Sequence[Example], seen: np.ndarray, caption: Callable[[Example], str]
) -> Image.Image:
    """The rows of one split under its name. seen: places in `examples` of those that have a picture."""
    wanted = min(COLUMNS * ROWS, len(seen))
    chosen = [examples[int(seen[place * len(seen) // wanted])] for place in range(wanted)]
    rows = -(-wanted // COLUMNS)
    width, height = COLUMNS * (CELL + GAP) + GAP, HEADING + rows * (CELL + TEXT + GAP)
    band = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(band)
    pen.text((GAP, HEADING - 6), name, fill=INK, font=_font("DejaVuSans-Bold", 16), anchor="ls")
    right = GAP + pen.textlength(name, font=_font("DejaVuSans-Bold", 16)) + 10
    pen.text((right, HEADING - 6), f"{len(seen):,}", fill=FAINT, font=_font("DejaVuSans", 14), anchor="ls")
    for place, example in enumerate(chosen):
        left, top = GAP + place % COLUMNS * (CELL + GAP), HEADING + place // COLUMNS * (CELL + TEXT + GAP)
        picture = _fitted(picture_of(example, root))
        band.paste(picture, (left + (CELL - picture.width) // 2, top + (CELL - picture.height) // 2))
        at = (left + CELL // 2, top + CELL + TEXT // 2 + 1)
        pen.text(at, _shortened(caption(example), pen), fill=INK, font=_font("DejaVuSans", 14), anchor="mm")
    return band


def _fitted(picture: Image.Image | None) -> Image.Image:
    assert picture is not None
    scale = CELL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _shortened(text: str, pen: ImageDraw.ImageDraw) -> str:
    """In one line of printable characters, as wide as a cell."""
    text = "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST])
    font = _font("DejaVuSans", 14)
    if pen.textlength(text, font=font) <= CELL + GAP:
        return text
    while text and pen.textlength(text + "…", font=font) > CELL + GAP:
        text = text[:-1]
    return text + "…"


@cache
def _font(name: str, pixels: int) -> ImageFont.FreeTypeFont:
    path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")
    return ImageFont.truetype(path, pixels, layout_engine=ImageFont.Layout.BASIC)
