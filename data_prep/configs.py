"""Read the data configs in conf/data/ and change single values by their dotted key."""

import copy
from collections.abc import Iterable
from typing import Any

import yaml
from omegaconf import OmegaConf

from ntil.checkout import CONF
from ntil.errors import UserError, did_you_mean

CONFIGS = CONF / "data"


def available() -> list[str]:
    """Names of the configs that a builder makes."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml") if "builder" in read(path.stem))


def read(name: str) -> dict[str, Any]:
    """conf/data/<name>.yaml as plain values, parsed as Hydra parses it."""
    path = CONFIGS / f"{name}.yaml"
    if not path.exists():
        raise UserError(f"There is no data config {path}.")
    return dict(OmegaConf.to_container(OmegaConf.load(path)))  # type: ignore[arg-type]


def with_overrides(data: dict[str, Any], overrides: Iterable[str | tuple[str, Any]]) -> dict[str, Any]:
    """A copy with values replaced: "style.seconds.probability=0.5" or ("size", 128). Unknown keys are refused."""
    data = copy.deepcopy(data)
    for override in overrides:
        key, value = _parse(override) if isinstance(override, str) else override
        branch: Any = data
        *path, leaf = key.split(".")
        for step in path:
            branch = branch.get(step) if isinstance(branch, dict) else None
        if not isinstance(branch, dict) or leaf not in branch:
            keys = _keys(data)
            near = did_you_mean(key, keys) or did_you_mean(leaf, {known.rsplit(".", 1)[-1] for known in keys})
            raise UserError(f"The config has no key {key!r}.{near}")
        branch[leaf] = value
    return data


def _parse(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set takes KEY=VALUE, for example style.seconds.probability=0.5; got {text!r}.")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise UserError(f"--set {key}: {value!r} is not a YAML value.") from None


def _keys(branch: dict[str, Any], prefix: str = "") -> list[str]:
    """Every dotted key, inner ones included."""
    keys = []
    for name, value in branch.items():
        keys.append(f"{prefix}{name}")
        if isinstance(value, dict):
            keys += _keys(value, f"{prefix}{name}.")
    return keys
