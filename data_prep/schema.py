"""From a plain mapping (YAML) to a frozen dataclass and back, refusing what the dataclass does not know.

Three kinds of factor cover every generated data set:

    radius: [0.45, 0.48]                       Range: drawn uniformly; one number fixes it
    shape: [round, square]                     Choice: equally likely …
    numerals: {none: 2, arabic: 1}             … or with weights
    probability: 0.5                           Probability
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np

from ntil.errors import UserError, did_you_mean

T = TypeVar("T")


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
        numbers = [value, value] if _is_number(value) else value
        if not isinstance(numbers, list | tuple) or len(numbers) != 2 or not all(map(_is_number, numbers)):
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
        if not all(_is_number(w) and w >= 0 for w in value.values()):
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
        if not _is_number(value) or not 0 <= value <= 1:
            raise UserError(f"{where} must be a probability from 0 to 1, not {value!r}.")
        return cls(value)

    def dump(self) -> float:
        return float(self)

    def draw(self, rng: np.random.Generator) -> bool:
        return bool(rng.random() < self)


def load(cls: type[T], value: Any, where: str) -> T:
    """Build the dataclass `cls` from a mapping. `where` names the place in errors ("style.hands")."""
    if not isinstance(value, Mapping):
        raise UserError(f"{where} must be a mapping, not {value!r}.")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in value:
        if key not in fields:
            near = did_you_mean(str(key), fields)
            raise UserError(f"{where} has no key {key!r}.{near} It takes {', '.join(fields)}.")
    hints = typing.get_type_hints(cls, include_extras=True)
    arguments = {}
    for name, field in fields.items():
        place = f"{where}.{name}"
        if name in value:
            arguments[name] = _convert(hints[name], value[name], place)
        elif field.default is dataclasses.MISSING:
            raise UserError(f"{place} is missing.")
    try:
        return cls(**arguments)
    except UserError as error:  # a check across fields: say where it was
        raise UserError(f"{where}: {error}") from None


def dump(value: Any) -> Any:
    """The plain mapping that `load` reads back: one normal form for each meaning, fit for hashing."""
    if hasattr(value, "dump"):
        return value.dump()
    if dataclasses.is_dataclass(value):
        return {field.name: dump(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return {key: dump(entry) for key, entry in value.items()} if isinstance(value, Mapping) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)


def _convert(hint: Any, value: Any, where: str) -> Any:
    if typing.get_origin(hint) is typing.Annotated:
        kind, *checks = typing.get_args(hint)
        converted = _convert(kind, value, where)
        for check in checks:
            check.check(converted, where)
        return converted
    if typing.get_origin(hint) in (types.UnionType, typing.Union):  # `int | None`
        if value is None:
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
        return _convert(hint, value, where)
    if hasattr(hint, "parse"):
        return hint.parse(value, where)
    if dataclasses.is_dataclass(hint):
        return load(typing.cast("type[Any]", hint), value, where)
    if typing.get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise UserError(f"{where} must be a mapping, not {value!r}.")
        kind = typing.get_args(hint)[1]
        return {str(key): _convert(kind, entry, f"{where}.{key}") for key, entry in value.items()}
    if typing.get_origin(hint) is list:
        if not isinstance(value, list | tuple):
            raise UserError(f"{where} must be a list, not {value!r}.")
        kind = typing.get_args(hint)[0]
        return [_convert(kind, entry, f"{where}[{place}]") for place, entry in enumerate(value)]
    if hint is bool and isinstance(value, bool):
        return value
    if hint is float and _is_number(value):
        return float(value)
    if hint is int and _is_number(value) and float(value).is_integer():
        return int(value)
    if hint is str and isinstance(value, str):
        return value
    raise UserError(f"{where} must be {hint.__name__}, not {value!r}.")
