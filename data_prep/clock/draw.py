"""Render one concrete clock: a pure function of (Clock, size in pixels).

Shapes are painted several times too large without anti-aliasing and averaged down. Every layer becomes a colour
and a coverage (0–1) at the final size, so that shadows, texture and light cost what the small picture costs.
"""

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from data_prep.clock import scenery
from data_prep.clock.placement import project
from data_prep.clock.sample import Clock
from data_prep.clock.shapes import EDGES, HANDS, Hand, circle, outline, turned
from data_prep.clock.style import fonts_folder

# Dials write IIII, to balance VIII.
ROMAN = ("XII", "I", "II", "III", "IIII", "V", "VI", "VII", "VIII", "IX", "X", "XI")
TRACK = 0.03  # dial radii between the rim and the ticks
LETTER_GAP = 0.05  # dial radii between the ticks and the numerals
LETTERS = 3  # supersampling of the numerals, which come with smooth edges already
EM = 1.37  # font size of a capital one unit high, DejaVu
TEXTURE_CELLS = 28  # blotches of dial texture across the picture


def supersampling(size: int) -> int:
    """At least 4, and enough that a small picture's hands stand within a fifth of a degree."""
    return max(4, math.ceil(384 / size))


def render(clock: Clock, size: int) -> Image.Image:
    """The picture, RGB, size × size pixels."""
    rng = np.random.default_rng(clock.grain)
    page = _Page(clock, size)
    picture = scenery.background(
        clock.background, clock.background_colours, clock.background_angle, size, rng
    )
    edge = outline(clock.shape)
    picture = page.shade(picture, [(edge, True)], reach=2.0)
    grain = 1 + clock.texture * (2 * scenery.cloud(size, TEXTURE_CELLS, rng) - 1) if clock.texture else 1.0
    dial = page.dial() * (grain if isinstance(grain, float) else grain[..., None])
    picture = _over(picture, dial, page.coverage([(edge, True)]))
    for hand in clock.hands:
        parts = HANDS[hand.shape](hand.length, hand.width, hand.tail)
        parts = [(turned(points, hand.angle), paint) for points, paint in parts]
        parts.append((circle(hand.width * 0.75), True))  # the hub
        picture = page.shade(picture, parts, reach=1.0)
        picture = _over(picture, np.array(hand.colour, dtype=np.float32), page.coverage(parts))
    return _expose(picture, clock, size, rng)


class _Page:
    """A clock at one size: from shapes in dial radii to coverage at the picture's resolution."""

    def __init__(self, clock: Clock, size: int) -> None:
        self.clock, self.size, self.factor = clock, size, supersampling(size)
        self.side = size * self.factor  # pixels of the large canvas
        self.matrix = np.diag([self.side, self.side, 1.0]) @ clock.placement.matrix()
        self.unit = clock.placement.radius * self.side  # pixels of a dial radius

    def corners(self, points: np.ndarray, right: float = 0, down: float = 0) -> np.ndarray:
        """[N, 2] dial radii → [N, 2] whole pixels of the large canvas, moved by (right, down) dial radii."""
        # Pillow fills up to and including its integer corners: half a pixel less keeps shapes centred.
        shift = np.array([right * self.unit - 0.5, down * self.unit - 0.5])
        return np.rint(project(self.matrix, points) + shift).astype(int)

    def coverage(self, parts: Hand, right: float = 0, down: float = 0) -> np.ndarray:
        """[size, size] from 0 to 1. Only the box around the parts is painted: hands are small."""
        corners = [self.corners(points, right, down) for points, _ in parts]
        everything = np.concatenate(corners)
        low = np.clip(everything.min(axis=0) // self.factor, 0, self.size - 1)
        high = np.clip(everything.max(axis=0) // self.factor + 1, low + 1, self.size)  # in final pixels
        width, height = (int(side) for side in (high - low) * self.factor)
        mask = Image.new("L", (width, height))
        pen = ImageDraw.Draw(mask)
        for points, (_, paint) in zip(corners, parts, strict=True):
            pen.polygon((points - low * self.factor).ravel().tolist(), fill=255 if paint else 0)
        covered = np.zeros((self.size, self.size), dtype=np.float32)
        covered[low[1] : high[1], low[0] : high[0]] = np.asarray(mask.reduce(self.factor)) / np.float32(255)
        return covered

    def shade(self, picture: np.ndarray, parts: Hand, reach: float) -> np.ndarray:
        """Take light away where `parts` cast a shadow; `reach` scales its distance."""
        shadow = self.clock.shadow
        if shadow is None:
            return picture
        dark = self.coverage(parts, shadow.right * reach, shadow.down * reach)
        soft = Image.fromarray(np.uint8(np.rint(dark * 255)))
        soft = soft.filter(ImageFilter.GaussianBlur(shadow.blur * self.size))
        return picture * (1 - shadow.strength * np.asarray(soft, dtype=np.float32) / 255)[..., None]

    def dial(self) -> np.ndarray:
        """[size, size, 3] rim, face, ticks and numerals; rim colour beyond the edge, so that the edge stays clean."""
        clock = self.clock
        canvas = Image.new("RGB", (self.side, self.side), clock.rim)
        pen = ImageDraw.Draw(canvas)
        pen.polygon(self.corners(outline(clock.shape) * (1 - clock.rim_width)).ravel().tolist(), clock.dial)
        inner = 1 - clock.rim_width - TRACK
        ticks = _ticks(clock, inner)
        for bar in self.corners(ticks.reshape(-1, 2)).reshape(ticks.shape):
            pen.polygon(bar.ravel().tolist(), clock.ink)
        picture = np.asarray(canvas.reduce(self.factor), dtype=np.float32)
        if clock.numerals == "none":
            return picture
        return _over(picture, np.array(clock.ink, dtype=np.float32), self.numerals(inner))

    def numerals(self, inner: float) -> np.ndarray:
        """[size, size] coverage of the numerals, laid out head-on and then turned with the dial."""
        clock, place = self.clock, self.clock.placement
        side, unit = self.size * LETTERS, place.radius * self.size * LETTERS
        mask = Image.new("L", (side, side))
        clear = clock.tick_lengths[0] if clock.ticks != "none" else 0.0
        for hour in range(12):
            if clock.numerals.endswith("quarters") and hour % 3:
                continue
            text = ROMAN[hour] if clock.numerals.startswith("roman") else str(hour or 12)
            pixels = max(6, round(clock.numeral_size * EM * unit))
            glyph, across, up = _glyph(text, clock.font, pixels, 30 * hour if clock.radial else 0)
            angle = math.radians(30 * hour)
            half = up / unit
            if not clock.radial:  # how far an ellipse around the letters reaches towards the edge
                half = math.hypot(across * math.sin(angle), up * math.cos(angle)) / unit
            edge = min(EDGES[clock.shape](angle), 1.25) * inner
            distance = (edge - clear - LETTER_GAP - half) * unit
            x = place.x * side + distance * math.sin(angle) - glyph.width / 2
            y = place.y * side - distance * math.cos(angle) - glyph.height / 2
            mask.paste(255, (round(x), round(y)), glyph)
        if not place.frontal:
            upright = np.array([[unit, 0, place.x * side], [0, unit, place.y * side], [0, 0, 1]])
            turned_over = np.diag([side, side, 1.0]) @ place.matrix()
            back = upright @ np.linalg.inv(turned_over)  # from a pixel of the picture to the upright canvas
            back = (back / back[2, 2]).ravel()[:8].tolist()
            mask = mask.transform(mask.size, Image.Transform.PERSPECTIVE, back, Image.Resampling.BILINEAR)
        return np.asarray(mask.reduce(LETTERS), dtype=np.float32) / 255


def _ticks(clock: Clock, inner: float) -> np.ndarray:
    """[N, 4, 2] bars that end on the dial's inner edge."""
    if clock.ticks == "none":
        return np.zeros((0, 4, 2))
    bars = []
    for minute in range(0, 60, 1 if clock.ticks == "minutes" else 5):
        hourly = minute % 5 == 0
        length = clock.tick_lengths[0 if hourly else 1]
        half = clock.tick_width / (2 if hourly else 4)
        edge = EDGES[clock.shape](math.radians(6 * minute)) * inner
        bar = np.array([(-half, -edge), (half, -edge), (half, length - edge), (-half, length - edge)])
        bars.append(turned(bar, 6 * minute))
    return np.array(bars)


@lru_cache(maxsize=512)
def _font(name: str, pixels: int) -> ImageFont.FreeTypeFont:
    # The basic layout engine is in every Pillow; the other one depends on a system library.
    return ImageFont.truetype(f"{fonts_folder()}/{name}.ttf", pixels, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=2048)
def _glyph(text: str, font: str, pixels: int, degrees: int) -> tuple[Image.Image, float, float]:
    """White letters on black, turned clockwise; half their width and half their height before the turn, in pixels."""
    face = _font(font, pixels)
    left, top, right, bottom = (round(side) for side in face.getbbox(text))
    picture = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(picture).text((-left, -top), text, fill=255, font=face)
    across, up = picture.width / 2, picture.height / 2
    if degrees:
        picture = picture.rotate(-degrees, Image.Resampling.BICUBIC, expand=True)
    return picture, across, up


def _over(picture: np.ndarray, colour: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    return picture + coverage[..., None] * (colour - picture)


def _expose(picture: np.ndarray, clock: Clock, size: int, rng: np.random.Generator) -> Image.Image:
    """What camera and sensor do: fading light, low contrast, blur, noise."""
    if clock.light:
        picture = picture * (1 - clock.light * scenery.ramp(size, clock.background_angle + 90))[..., None]
    if clock.contrast < 1:
        picture = 127.5 + clock.contrast * (picture - 127.5)
    if clock.blur:
        soft = Image.fromarray(np.uint8(np.clip(np.rint(picture), 0, 255)))
        picture = np.asarray(soft.filter(ImageFilter.GaussianBlur(clock.blur * size)), dtype=np.float32)
    if clock.noise:
        picture = picture + clock.noise * rng.standard_normal(picture.shape, dtype=np.float32)
    return Image.fromarray(np.uint8(np.clip(np.rint(picture), 0, 255)))
