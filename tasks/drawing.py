"""Colours and pens for truth and answer, the same in every task's pictures."""

import os
from collections.abc import Sequence
from functools import cache

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from ntil.metrics.exact import Number

TRUTH, ANSWER = (0, 158, 115), (213, 94, 0)  # green and vermilion that colour-blind readers tell apart
FAINT = (128, 128, 128)  # what does not count
SMALLEST = 256  # pixels of a drawing's shorter side


def enlarged(image: Image.Image) -> tuple[Image.Image, int]:
    """A copy with a shorter side of at least about 256 pixels, and by what factor it grew."""
    scale = max(1, round(SMALLEST / min(image.size)))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.LANCZOS), scale


def outline(
    image: Image.Image, points: Sequence[Sequence[Number]], colour: tuple[int, int, int], width: int
) -> None:
    """Draw a closed polygon of points in pixels onto the image."""
    closed = [(float(x), float(y)) for x, y in (*points, points[0])]
    ImageDraw.Draw(image).line(closed, fill=colour, width=width, joint="curve")


@cache
def caption_font(pixels: int) -> ImageFont.FreeTypeFont:
    path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(path, pixels)


def corners(box: Sequence[Number]) -> list[tuple[Number, Number]]:
    """The four corners of [x1, y1, x2, y2]."""
    x1, y1, x2, y2 = box
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
