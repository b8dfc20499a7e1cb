"""What the settings of data sets are made of beside plain values, and their one normal form; ntil.settings reads them.

Three kinds of factor cover every generated data set:

    radius: [0.45, 0.48]                       Range: drawn uniformly; one number fixes it
    shape: [round, square]                     Choice: equally likely …
    numerals: {none: 2, arabic: 1}             … or with weights
    probability: 0.5                           Probability
"""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ntil.errors import UserError, did_you_mean
from ntil.settings import is_number


@dataclass(frozen=True)
class Within:
    """`Annotated[Range, Within(0, 1, "dial radii")]`: all its numbers lie in [least, most]."""

    least: float
    most: float
    unit: str = ""

    def check(self, value: Any, where: str) -> None:
        numbers = (value.low, value.high) if isinstance(value, Range) else (value,)
        if not all(self.least <= number <= self.most for number in numbers):
            shown = ", ".join(f"{number:g}" for number in numbers)
            limits = f"{self.least:g} to {self.most:g} {self.unit}".rstrip()
            raise UserError(f"{where} = {shown} is outside {limits}.")


@dataclass(frozen=True)
class Of:
    """`Annotated[Choice, Of(names)]`: every option is one of `names`."""

    names: typing.Iterable[str]

    def check(self, value: "Choice", where: str) -> None:
        names = list(self.names)
        for name in value.options:
            if name not in names:
                near = did_you_mean(name, names)
                raise UserError(f"{where} has no option {name!r}.{near} Options: {', '.join(names)}.")


@dataclass(frozen=True)
class Range:
    """A number drawn uniformly from [low, high]."""

    low: float
    high: float

    @classmethod
    def parse(cls, value: Any, where: str) -> Self:
        numbers = [value, value] if is_number(value) else value
        if not isinstance(numbers, list | tuple) or len(numbers) != 2 or not all(map(is_number, numbers)):
            raise UserError(f"{where} must be [low, high] or one number, not {value!r}.")
        low, high = map(float, numbers)
        if low > high:
            raise UserError(f"{where}: the low end {low:g} is above the high end {high:g}.")
        return cls(low, high)

    def dump(self) -> list[float]:
        return [self.low, self.high]

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class Choice:
    """One of several names, with weights. Options are sorted, so their order in a file changes nothing."""

    options: tuple[str, ...]
    weights: tuple[float, ...]

    @classmethod
    def parse(cls, value: Any, where: str) -> Self:
        if isinstance(value, str):
            value = [value]
        if isinstance(value, list | tuple):
            if len({str(name) for name in value}) != len(value):
                raise UserError(
                    f"{where} names an option twice: {value!r}. Give weights as {{name: weight}}."
                )
            value = dict.fromkeys(value, 1.0)
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise UserError(f"{where} must be a list of names or a mapping name: weight, not {value!r}.")
        if not all(is_number(w) and w >= 0 for w in value.values()):
            raise UserError(f"{where}: weights must be numbers of at least 0, not {dict(value)!r}.")
        kept = sorted((name, float(weight)) for name, weight in value.items() if weight > 0)
        if not kept:
            raise UserError(f"{where} leaves nothing to choose from.")
        return cls(tuple(name for name, _ in kept), tuple(weight for _, weight in kept))

    def dump(self) -> dict[str, float]:
        return dict(zip(self.options, self.weights, strict=True))

    def draw(self, rng: np.random.Generator) -> str:
        edges = np.cumsum(self.weights)
        place = int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))
        return self.options[min(place, len(self.options) - 1)]


class Probability(float):
    """A number from 0 to 1."""

    @classmethod
    def parse(cls, value: Any, where: str) -> Self:
        if not is_number(value) or not 0 <= value <= 1:
            raise UserError(f"{where} must be a probability from 0 to 1, not {value!r}.")
        return cls(value)

    def dump(self) -> float:
        return float(self)

    def draw(self, rng: np.random.Generator) -> bool:
        return bool(rng.random() < self)


def dump(value: Any) -> Any:
    """The plain mapping that `load_settings` reads back: one normal form for each meaning, fit for hashing."""
    if hasattr(value, "dump"):
        return value.dump()
    if dataclasses.is_dataclass(value):
        return {field.name: dump(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return {key: dump(entry) for key, entry in value.items()} if isinstance(value, Mapping) else value
