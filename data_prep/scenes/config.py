"""What may vary in a data set of scenes: the schema of conf/data/scenes_*.yaml."""

import math
from dataclasses import dataclass
from typing import Annotated

from data_prep.generated import Generated
from data_prep.schema import Choice, Of, Probability, Range, Within
from ntil.errors import UserError, did_you_mean

COLOURS = {
    "red": (208, 48, 48),
    "blue": (44, 92, 200),
    "green": (40, 150, 72),
    "yellow": (236, 200, 40),
    "purple": (140, 72, 184),
    "orange": (240, 136, 36),
    "white": (248, 248, 248),
    "black": (28, 28, 32),
}
SHAPES = ("circle", "square", "triangle", "ring", "star", "cross", "diamond", "bar")
TEXTURES = ("plain", "striped", "dotted")
FACTORS = ("size", "texture", "colour", "shape")  # in the order that English wants
LARGER = 1.2  # radius of the smallest large object over that of the largest small one, at least
FRAME = 0.01  # picture sides that stay free at the edges


@dataclass(frozen=True)
class ScenesConfig(Generated):
    """One generated data set: conf/data/scenes_easy.yaml and its siblings."""

    SPLITS = ("train", "val", "test", "heldout_pairs")

    size: Annotated[int, Within(32, 2048, "pixels")]  # width and height of the pictures
    objects: Annotated[Range, Within(1, 12, "objects")]  # in a scene, whole numbers of it
    radius: Annotated[Range, Within(0.04, 0.3, "picture sides")]  # of an object of ordinary size
    size_ratio: Annotated[float, Within(1.0, 3.0)]  # large over small; 1 for one size only
    gap: Annotated[float, Within(0.0, 0.2, "picture sides")]  # between the boxes of any two objects, at least
    shapes: Annotated[Choice, Of(SHAPES)]
    colours: Annotated[Choice, Of(COLOURS)]
    textures: Annotated[Choice, Of(TEXTURES)]
    factors: list[str]  # that expressions may name; without "shape" they say "red shape"
    relations: Probability  # that an expression says "left of …" where it can; without need for one too
    extra_factor: Probability  # that it names one factor more than it has to
    heldout: list[str]  # "red star": pairs of colour and shape that only heldout_pairs shows
    background: Annotated[Range, Within(0.0, 1.0, "strength of the texture")]
    noise: Annotated[Range, Within(0.0, 40.0, "levels of 0–255")]  # standard deviation

    def __post_init__(self) -> None:
        super().__post_init__()
        for factor in self.factors:
            if factor not in FACTORS:
                near = did_you_mean(factor, FACTORS)
                raise UserError(f"factors names {factor!r}.{near} They are: {', '.join(FACTORS)}.")
        known = {f"{colour} {shape}" for colour in self.colours.options for shape in self.shapes.options}
        for pair in self.heldout:
            if pair not in known:
                raise UserError(f"heldout names {pair!r}, which the colours and shapes cannot make.")
        if self.splits.get("heldout_pairs") and not self.heldout:
            raise UserError("splits.heldout_pairs asks for pictures, but heldout names no pairs.")
        if len(known) - len(self.heldout) < self.objects.high:
            raise UserError("too few pairs of colour and shape for so many objects; name more of either.")
        if not (self.objects.low.is_integer() and self.objects.high.is_integer()):
            raise UserError(f"objects = {self.objects.dump()} must be whole numbers.")
        self._check_sizes()

    def _check_sizes(self) -> None:
        if self.radius.high * self.scale("large") + FRAME >= 0.5:
            raise UserError(
                f"radius = {self.radius.high:g} with size_ratio = {self.size_ratio:g} leaves the largest object no "
                "room in the picture; make either smaller."
            )
        small, large = self.radius.high * self.scale("small"), self.radius.low * self.scale("large")
        if self.size_ratio > 1 and "size" in self.factors and large < LARGER * small:
            needed = math.ceil(100 * LARGER * self.radius.high / self.radius.low) / 100
            raise UserError(
                f"the largest small object (radius {small:.3f}) and the smallest large one ({large:.3f}) look alike: "
                f"with radius = {self.radius.dump()}, size_ratio must be at least {needed:g}, "
                "or factors must not name size."
            )

    def scale(self, size: str) -> float:
        """Radius of an object of this size, in radii of an ordinary one."""
        return self.size_ratio ** {"": 0.0, "small": -0.5, "large": 0.5}[size]
