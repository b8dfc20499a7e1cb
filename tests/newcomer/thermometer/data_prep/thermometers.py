"""Drawn thermometers: a column of liquid beside a scale with a mark every five degrees, to be read to half a degree."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from PIL import Image, ImageDraw

from data_prep.generated import Drawn, Generated, generated
from data_prep.schema import Choice, Of, Range, Within
from ntil.errors import UserError

LIQUIDS = {"red": (200, 40, 40), "blue": (40, 80, 200), "green": (30, 140, 60)}


@dataclass(frozen=True)
class ThermometersConfig(Generated):
    """conf/data/thermometers.yaml; name, builder, seed and splits come from Generated."""

    size: Annotated[int, Within(32, 512, "pixels")]  # width and height of the pictures
    lowest: Annotated[int, Within(-100, 100, "degrees")]
    highest: Annotated[int, Within(-100, 100, "degrees")]
    liquids: Annotated[Choice, Of(LIQUIDS)]
    noise: Annotated[Range, Within(0.0, 40.0, "levels of 0–255")]  # standard deviation

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lowest >= self.highest:
            raise UserError(f"lowest = {self.lowest} must lie below highest = {self.highest}.")


def draw(config: ThermometersConfig, split: str, rng: np.random.Generator) -> Drawn:
    """One thermometer; whatever is random comes from rng."""
    halves = int(rng.integers(2 * config.lowest, 2 * config.highest + 1))
    liquid = config.liquids.draw(rng)
    picture = np.asarray(render(config, halves / 2, LIQUIDS[liquid]))
    noisy = picture + rng.normal(0, config.noise.draw(rng), picture.shape)
    return Drawn(
        target={"degrees": f"{halves / 2:.1f}"},
        meta={"liquid": liquid},
        picture=Image.fromarray(noisy.clip(0, 255).astype(np.uint8)),
    )


def render(config: ThermometersConfig, degrees: float, colour: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGB", (config.size, config.size), "white")
    pen = ImageDraw.Draw(image)
    top, bottom, middle = 0.06 * config.size, 0.82 * config.size, config.size / 2

    def height(value: float) -> float:
        return bottom + (top - bottom) * (value - config.lowest) / (config.highest - config.lowest)

    pen.rectangle((middle - 4, height(degrees), middle + 4, bottom), fill=colour)
    pen.ellipse((middle - 6, bottom, middle + 6, bottom + 10), fill=colour)
    pen.rectangle((middle - 4, top, middle + 4, bottom), outline="black")
    for mark in range(config.lowest, config.highest + 1, 5):
        pen.line(
            (middle + 6, height(mark), middle + (14 if mark % 10 == 0 else 10), height(mark)), fill="black"
        )
    return image


BUILDER = generated("thermometers", ThermometersConfig, draw, version=1, help="drawn thermometers")
