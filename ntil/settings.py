"""Typed settings from configs: every value checked against its dataclass before anything runs.

    @dataclass(frozen=True, kw_only=True)
    class TrainerSettings:
        max_steps: int = at_least(0)
        schedule: str = one_of("cosine", "linear")

    settings = load_settings(TrainerSettings, cfg.trainer, "trainer")

A field may be a dataclass, a list or a mapping of values, or of a type of its own that has `parse(value, where)`. Rules stand in the
field (`at_least`, `one_of`), or beside its type (`Annotated[Range, Within(0, 1)]`): objects with `check(value, where)`.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from ntil.errors import UserError, did_you_mean

T = TypeVar("T")
WORDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


@dataclass(frozen=True)
class AtLeast:
    """A number that is not less than `low`, nor reaches `below`."""

    low: float
    below: float | None = None

    def check(self, value: Any, where: str) -> None:
        if not value >= self.low:
            raise UserError(f"{where} must be at least {self.low}, not {value}.")
        if self.below is not None and not value < self.below:
            raise UserError(f"{where} must be less than {self.below}, not {value}.")


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    choices: tuple[str, ...]

    def check(self, value: Any, where: str) -> None:
        if value not in self.choices:
            near = did_you_mean(str(value), self.choices)
            raise UserError(f"{where} must be {' or '.join(self.choices)}, not {value!r}.{near}")


def at_least(low: float, below: float | None = None) -> Any:
    """A dataclass field whose value (or each of its numbers) must not be less than `low`, nor reach `below`."""
    return dataclasses.field(metadata={"rule": AtLeast(low, below)})


def one_of(*choices: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that takes one of a few words."""
    return dataclasses.field(default=default, metadata={"rule": OneOf(choices)})


def load_settings(cls: type[T], settings: DictConfig | Mapping[str, Any], where: str) -> T:
    """An instance of the dataclass `cls`; `where` names the place in messages ("trainer").

    A field with a default may be absent: settings that runs of earlier versions do not have. Raises UserError for unknown and
    missing keys, wrong types and values out of range.
    """
    given = OmegaConf.to_container(settings, resolve=True) if OmegaConf.is_config(settings) else settings
    if not isinstance(given, Mapping):
        raise UserError(f"{where} must be a group of settings, not {given!r}.")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in given:
        if key not in fields:
            near = did_you_mean(str(key), fields)
            raise UserError(f"{where} has no setting {key!r}.{near} It takes {', '.join(fields)}.")
    needed = (name for name, field in fields.items() if field.default is dataclasses.MISSING)
    if missing := [name for name in needed if name not in given]:
        raise UserError(f"{where} lacks {', '.join(missing)}.")
    hints = typing.get_type_hints(cls, include_extras=True)
    values = {}
    for name in fields:
        if name in given:
            rule = fields[name].metadata.get("rule")
            rules = () if rule is None else (rule,)
            values[name] = _converted(hints[name], given[name], f"{where}.{name}", rules)
    try:
        return cls(**values)
    except UserError as error:  # a check across fields: say where it was
        raise UserError(f"{where}: {error}") from None


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and not true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _converted(kind: Any, value: Any, where: str, rules: Sequence[Any]) -> Any:
    """`value` as the type hint wants it; UserError where it does not fit, or breaks one of the rules."""
    if typing.get_origin(kind) is typing.Annotated:
        kind, *more = typing.get_args(kind)
        return _converted(kind, value, where, [*rules, *more])
    if typing.get_origin(kind) in (types.UnionType, typing.Union):  # `int | None`
        if value is None:
            return None
        kind = next(option for option in typing.get_args(kind) if option is not types.NoneType)
        return _converted(kind, value, where, rules)
    if typing.get_origin(kind) is list:
        if not isinstance(value, list | tuple):
            raise UserError(f"{where} must be a list, not {value!r}.")
        item = typing.get_args(kind)[0]
        return [_converted(item, entry, f"{where}[{place}]", rules) for place, entry in enumerate(value)]
    if typing.get_origin(kind) is dict:
        if not isinstance(value, Mapping):
            raise UserError(f"{where} must be a group of settings, not {value!r}.")
        item = typing.get_args(kind)[1]
        return {str(key): _converted(item, entry, f"{where}.{key}", rules) for key, entry in value.items()}
    if hasattr(kind, "parse"):
        found = kind.parse(value, where)
    elif dataclasses.is_dataclass(kind):
        found = load_settings(typing.cast("type[Any]", kind), value, where)
    else:
        found = _plain(kind, value, where)
    for rule in rules:
        rule.check(found, where)
    return found


def _plain(kind: Any, value: Any, where: str) -> Any:
    if kind is float and is_number(value):
        return float(value)
    if kind is int and is_number(value) and float(value).is_integer():
        return int(value)
    if kind in (bool, str) and isinstance(value, kind):
        return value
    raise UserError(f"{where} must be {WORDS[kind]}, not {value!r}.")
