"""A scene as pixels, and the exact box of each thing in it.

Things are painted as masks several times too large and averaged down; a thing's box is that of its mask before
averaging, in pixels of the final picture.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data_prep.clock.scenery import cloud
from data_prep.scenes.config import COLOURS
from data_prep.scenes.sample import Scene, Thing

Mask = NDArray[np.float32]
CLOUDS = 110  # levels between the darkest and the brightest blotch of a full-strength background
DARKER = 0.45  # share of the light that stripes and dots take away


def supersampling(size: int) -> int:
    """Pixels of a mask for each pixel of the picture, each way."""
    return max(2, math.ceil(256 / size))


def render(scene: Scene, size: int) -> tuple[Image.Image, list[list[float]]]:
    """(RGB picture of size × size pixels, the box [x1, y1, x2, y2] of each thing in pixels)."""
    factor = supersampling(size)
    rng = np.random.default_rng(scene.grain)
    ground = np.full((size, size, 3), 255 * scene.shade, dtype=np.float32)
    picture = ground + CLOUDS * scene.background * (cloud(size, 6, rng)[..., None] - 0.5)
    boxes = []
    for thing in scene.things:
        large = _mask(thing, size * factor)
        boxes.append([edge / factor for edge in large.getbbox() or (0, 0, 0, 0)])
        inside = _averaged(large, factor)
        ink = np.array(COLOURS[thing.colour], dtype=np.float32)
        shading = 1 - DARKER * _averaged(_pattern(thing, size * factor), factor)
        picture += inside[..., None] * (ink * shading[..., None] - picture)
    if scene.noise:
        picture += rng.normal(0, scene.noise, picture.shape).astype(np.float32)
    return Image.fromarray(np.clip(picture + 0.5, 0, 255).astype(np.uint8)), boxes


def _averaged(mask: Image.Image, factor: int) -> Mask:
    return np.asarray(mask.reduce(factor), dtype=np.float32) / np.float32(255)


def _mask(thing: Thing, side: int) -> Image.Image:
    image = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(image)
    x, y, r = (value * side for value in (thing.x, thing.y, thing.radius))
    if thing.shape in ("circle", "ring"):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=255)
        if thing.shape == "ring":
            pen.ellipse((x - 0.55 * r, y - 0.55 * r, x + 0.55 * r, y + 0.55 * r), fill=0)
        return image
    for outline in _outlines(thing.shape):
        pen.polygon([_turned(point, thing.turn, x, y, r) for point in outline], fill=255)
    return image


def _outlines(shape: str) -> list[list[tuple[float, float]]]:
    """Polygons about the origin that stay inside the unit circle."""
    if shape == "star":
        return [[_polar(90 + 36 * k, 1.0 if k % 2 == 0 else 0.42) for k in range(10)]]
    if shape == "triangle":
        return [[_polar(90 + 120 * k, 1.0) for k in range(3)]]
    if shape == "diamond":
        return [[(0, -1), (0.62, 0), (0, 1), (-0.62, 0)]]
    rectangles = {"square": [(0.7, 0.7)], "cross": [(0.95, 0.27), (0.27, 0.95)], "bar": [(0.94, 0.3)]}
    return [[(-a, -b), (a, -b), (a, b), (-a, b)] for a, b in rectangles[shape]]


def _polar(degrees: float, radius: float) -> tuple[float, float]:
    return radius * math.cos(math.radians(degrees)), -radius * math.sin(math.radians(degrees))


def _turned(point: tuple[float, float], degrees: float, x: float, y: float, r: float) -> tuple[float, float]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return x + r * (c * point[0] - s * point[1]), y + r * (s * point[0] + c * point[1])


def _pattern(thing: Thing, side: int) -> Image.Image:
    """Where the texture darkens the ink; a few stripes or dots across the thing."""
    image = Image.new("L", (side, side), 0)
    if thing.texture == "plain":
        return image
    pen = ImageDraw.Draw(image)
    x, y, r = (value * side for value in (thing.x, thing.y, thing.radius))
    step = r / 2
    offsets = [k * step for k in range(-3, 4)]
    if thing.texture == "striped":
        for offset in offsets:
            pen.line(
                (x + offset - r, y + r, x + offset + r, y - r), fill=255, width=max(1, round(step * 0.4))
            )
    else:
        dot = step * 0.3
        for dx in offsets:
            for dy in offsets:
                pen.ellipse((x + dx - dot, y + dy - dot, x + dx + dot, y + dy + dot), fill=255)
    return image
