"""Colours as "#rrggbb" and as RGB triples (0–255), and how different two of them look."""

import re
from functools import lru_cache

import numpy as np

from ntil.errors import UserError

RGB = tuple[int, int, int]

# sRGB primaries → CIE XYZ under D65, and the D65 white point (IEC 61966-2-1).
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = np.array([0.95047, 1.0, 1.08883])


def rgb(code: str) -> RGB:
    """The three channels of "#rrggbb"."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", code):
        raise UserError(f'{code!r} is not a colour; write "#rrggbb" in quotes, for example "#1b2a49".')
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


@lru_cache(maxsize=4096)
def lab(colour: RGB) -> np.ndarray:
    """CIELAB coordinates [3]: lightness 0–100, then the green–red and blue–yellow axes."""
    channel = np.asarray(colour, dtype=np.float64) / 255
    linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    t = _TO_XYZ @ linear / _WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(one: RGB, other: RGB) -> float:
    """ΔE (CIE 1976): 2.3 is just noticeable, black on white is 100."""
    return float(np.linalg.norm(lab(one) - lab(other)))


def stands_out(one: RGB, other: RGB, least: float) -> bool:
    """ΔE of at least `least`, half of it in lightness: hue alone does not show a thin hand."""
    lighter = abs(float(lab(one)[0] - lab(other)[0]))
    return difference(one, other) >= least and lighter >= least / 2


def jitter(colour: RGB, amount: float, rng: np.random.Generator) -> RGB:
    """Move each channel by up to ±`amount` levels (0–255)."""
    return _clip(np.asarray(colour) + rng.uniform(-amount, amount, 3))


def fade(colour: RGB, contrast: float) -> RGB:
    """Pull a colour towards mid-grey; contrast 1 leaves it, 0 makes it grey."""
    return _clip(127.5 + contrast * (np.asarray(colour) - 127.5))


def _clip(levels: np.ndarray) -> RGB:
    red, green, blue = (int(level) for level in np.clip(np.rint(levels), 0, 255))
    return red, green, blue
