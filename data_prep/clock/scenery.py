"""What is not the clock: backgrounds, dial texture, light. Arrays are float32 in levels 0–255 unless said otherwise."""

import math

import numpy as np
from PIL import Image

from data_prep.clock.colour import RGB


def background(
    kind: str, colours: tuple[RGB, RGB], angle: float, size: int, rng: np.random.Generator
) -> np.ndarray:
    """[size, size, 3]. `angle` in degrees turns gradients and stripes."""
    one, other = (np.array(colour, dtype=np.float32) for colour in colours)
    if kind == "plain":
        return np.full((size, size, 3), one, dtype=np.float32)
    if kind == "gradient":
        mix = ramp(size, angle)
    elif kind == "stripes":
        mix = 0.5 + 0.35 * np.sin(2 * math.pi * rng.uniform(4, 9) * ramp(size, angle))
    else:
        mix = cloud(size, int(rng.integers(4, 14)), rng)
    return one + mix[..., None] * (other - one)


def ramp(size: int, angle: float) -> np.ndarray:
    """[size, size] from 0 to 1 along a direction in degrees."""
    along = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    reach = (abs(x) + abs(y)) / 2
    return 0.5 + (along[None, :] * x + along[:, None] * y) / (2 * reach)


def cloud(size: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """[size, size] smooth random blotches from 0 to 1, about `cells` of them across the picture."""
    grid = Image.fromarray(rng.random((cells, cells)).astype(np.float32), mode="F")
    return np.clip(np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32), 0, 1)
