"""Outlines of dials and hands as polygons, in dial radii; x to the right, y down, the centre at (0, 0)."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

Polygon = np.ndarray  # [N, 2]
Hand = list[tuple[Polygon, bool]]  # polygons painted in order; False cuts a hole


def circle(radius: float, centre: tuple[float, float] = (0.0, 0.0), corners: int = 96) -> Polygon:
    angles = np.linspace(0, 2 * math.pi, corners, endpoint=False)
    return np.stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], axis=1)


# How far the edge lies from the centre along a direction (radians, clockwise from 12). The narrowest is 1.


def _round(angle: float) -> float:
    return 1.0


def _polygon(sides: int, turn: float) -> Callable[[float], float]:
    """A regular polygon around the unit circle; `turn` (radians) is the direction of one side's middle."""
    step = 2 * math.pi / sides

    def edge(angle: float) -> float:
        return 1 / math.cos((angle - turn + step / 2) % step - step / 2)

    return edge


def _rounded_square(angle: float) -> float:
    x, y = abs(math.sin(angle)), abs(math.cos(angle))
    return (x**5 + y**5) ** (-1 / 5)  # a superellipse


EDGES: dict[str, Callable[[float], float]] = {
    "round": _round,
    "square": _polygon(4, 0.0),
    "hexagon": _polygon(6, 0.0),
    "octagon": _polygon(8, 0.0),
    "rounded_square": _rounded_square,
}


@cache
def outline(shape: str) -> Polygon:
    """The dial's edge. 240 points hit every corner of the shapes above."""
    angles = np.arange(240) * (2 * math.pi / 240)
    distance = np.array([EDGES[shape](float(angle)) for angle in angles])
    points = np.stack([np.sin(angles) * distance, -np.cos(angles) * distance], axis=1)
    points.flags.writeable = False  # shared by every clock
    return points


# A hand points up: from `tail` below the pivot to `length` above it, `width` across at its widest.


def _mirror(profile: list[tuple[float, float]]) -> Polygon:
    """(height above the pivot, half width) from tail to tip → the closed outline."""
    right = [(half, -height) for height, half in profile]
    return np.array(right + [(-half, -height) for height, half in reversed(profile)])


def _line(length: float, width: float, tail: float) -> Hand:
    return [(_mirror([(-tail, width / 2), (length, width / 2)]), True)]


def _baton(length: float, width: float, tail: float) -> Hand:
    ends = [circle(width / 2, (0, tail - width / 2)), circle(width / 2, (0, width / 2 - length))]
    stem = _mirror([(width / 2 - tail, width / 2), (length - width / 2, width / 2)])
    return [(part, True) for part in (*ends, stem)]


def _tapered(length: float, width: float, tail: float) -> Hand:
    return [(_mirror([(-tail, width * 0.42), (0, width / 2), (length, width * 0.24)]), True)]


def _dauphine(length: float, width: float, tail: float) -> Hand:
    return [(_mirror([(-tail, 0), (length * 0.12, width * 0.62), (length, 0.0)]), True)]


def _arrow(length: float, width: float, tail: float) -> Hand:
    stem, head = width * 0.32, max(2.2 * width, 0.2 * length)
    profile = [(-tail, stem), (length - head, stem), (length - head, width * 1.05), (length, 0.0)]
    return [(_mirror(profile), True)]


def _leaf(length: float, width: float, tail: float) -> Hand:
    along = np.linspace(0, 1, 24)
    half = width * (0.14 + 0.5 * np.sin(math.pi * along**0.85) ** 1.3) * np.minimum(1, (1 - along) * 8)
    body = list(zip(along * length, half, strict=True))
    return [(_mirror([(-tail, width * 0.14), *body]), True)]


def _sword(length: float, width: float, tail: float) -> Hand:
    profile = [(-tail, width * 0.2), (0, width * 0.22), (length * 0.68, width * 0.62), (length, 0.0)]
    return [(_mirror(profile), True)]


def _lollipop(length: float, width: float, tail: float) -> Hand:
    disc = (0.0, -length * 0.68)
    stem = _mirror([(-tail, width * 0.28), (length * 0.68, width * 0.28), (length, width * 0.1)])
    return [(stem, True), (circle(width * 1.05, disc), True), (circle(width * 0.5, disc), False)]


def _spade(length: float, width: float, tail: float) -> Hand:
    neck, tip = length * 0.58, length
    profile = [(-tail, width * 0.25), (neck, width * 0.25), (neck + 0.06 * length, width)]
    profile += [(neck + 0.16 * length, width * 0.85), (neck + 0.28 * length, width * 0.25), (tip, 0.0)]
    return [(_mirror(profile), True)]


HANDS: dict[str, Callable[[float, float, float], Hand]] = {
    "line": _line,
    "baton": _baton,
    "tapered": _tapered,
    "dauphine": _dauphine,
    "arrow": _arrow,
    "leaf": _leaf,
    "sword": _sword,
    "lollipop": _lollipop,
    "spade": _spade,
}


def turned(points: Polygon, degrees: float) -> Polygon:
    """Turn clockwise about the centre, as a hand turns."""
    angle = math.radians(degrees)
    return points @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
