"""Typed settings from configs: every value checked against its dataclass before anything runs."""

import dataclasses
import types
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf

from ntil.errors import UserError, did_you_mean

T = TypeVar("T")


def at_least(low: float, below: float | None = None) -> Any:
    """A dataclass field whose value (or each of its numbers) must not be less than `low`, nor reach `below`."""
    return dataclasses.field(metadata={"low": low, "below": below})


def one_of(*choices: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that takes one of a few words."""
    return dataclasses.field(default=default, metadata={"choices": choices})


def load_settings(cls: type[T], cfg: DictConfig, where: str) -> T:
    """An instance of the dataclass `cls` from `cfg`; `where` names it in messages ("trainer").

    A field may be a dataclass itself. One with a default may be absent: settings that runs of older versions do not have.
    Raises UserError for unknown and missing keys, wrong types and values out of range.
    """
    values: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise UserError(f"{where} has no setting {key!r}.{did_you_mean(str(key), fields)}")
    if missing := [
        name for name, f in fields.items() if name not in values and f.default is dataclasses.MISSING
    ]:
        raise UserError(f"{where} lacks {', '.join(missing)}.")
    kinds = get_type_hints(cls)
    for name in values:
        values[name] = _checked(values[name], kinds[name], fields[name].metadata, f"{where}.{name}")
    return cls(**values)


def _checked(value: Any, kind: Any, rules: Any, where: str) -> Any:
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        kind = next(option for option in get_args(kind) if option is not types.NoneType)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise UserError(f"{where} must be a group of settings, not {value!r}.")
        return load_settings(kind, OmegaConf.create(value), where)  # type: ignore[arg-type]
    if get_origin(kind) is list:
        if not isinstance(value, list):
            raise UserError(f"{where} must be a list, not {value!r}.")
        return [_checked(item, get_args(kind)[0], rules, where) for item in value]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        words = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}
        raise UserError(f"{where} must be {words[kind]}, not {value!r}.")
    if "low" in rules and not value >= rules["low"]:
        raise UserError(f"{where} must be at least {rules['low']}, not {value}.")
    if rules.get("below") is not None and not value < rules["below"]:
        raise UserError(f"{where} must be less than {rules['below']}, not {value}.")
    if "choices" in rules and value not in rules["choices"]:
        choices = rules["choices"]
        raise UserError(
            f"{where} must be {' or '.join(choices)}, not {value!r}.{did_you_mean(value, choices)}"
        )
    return value
