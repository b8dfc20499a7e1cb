"""Builders by name: every module of this package that holds a BUILDER is found by itself.

A new data set is one module here (data_prep/thermometers.py, or a package with several) and one file in conf/data/ that
says `builder: thermometers`. docs/add_a_task.md shows both.
"""

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_prep import schema
from data_prep.builder import Builder
from data_prep.sharded import Sharding
from data_prep.writer import is_up_to_date, write
from ntil.data.shards import SHARDS
from ntil.errors import UserError, did_you_mean
from ntil.settings import load_settings

HOLDS = "BUILDER"  # the name of a module's builder


def find(folder: Path, package: str) -> dict[str, Builder]:
    """The builders of a package's modules and of those in its packages, by name, in alphabetical order."""
    found: dict[str, tuple[Builder, str]] = {}
    for module in _modules(folder, package):
        builder = vars(importlib.import_module(module)).get(HOLDS)
        if builder is None:
            continue
        if not isinstance(builder, Builder):
            raise UserError(f"{module}.{HOLDS} is {builder!r} and no data_prep.builder.Builder.")
        if builder.name in found:
            other = found[builder.name][1]
            raise UserError(f"{other} and {module} both build {builder.name!r}; rename one of them.")
        found[builder.name] = builder, module
    return {name: builder for name, (builder, _) in sorted(found.items())}


def _modules(folder: Path, package: str) -> Iterator[str]:
    for info in pkgutil.iter_modules([str(folder)]):
        name = f"{package}.{info.name}"
        if info.ispkg:
            yield from _modules(folder / info.name, name)
        elif not info.name.startswith("_") and name != __name__:
            yield name


BUILDERS: dict[str, Builder] = find(Path(__file__).parent, __package__ or "data_prep")


@dataclass(frozen=True)
class Request:
    """A checked config, ready to build."""

    builder: Builder
    config: Any
    header: dict[str, Any]  # builder, version, config: what the manifest records and what must match
    sharding: Sharding | None = None

    @property
    def folder_name(self) -> str:
        """`<name>-<8 hex digits>`; the digits follow everything that decides the content, and the shards."""
        shards = {} if self.sharding is None else {SHARDS: asdict(self.sharding)}
        canonical = json.dumps({**self.header, **shards}, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return f"{self.config.name}-{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"

    def is_built(self, out: Path) -> bool:
        return is_up_to_date(out, self.header, self.sharding)

    def build(self, out: Path, workers: int | None = None) -> Path:
        if self.is_built(out):
            return out
        return write(out, self.builder.plan(self.config), self.header, workers, self.sharding)


def _cut(data: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(data)
    most = found.pop("at_most", None)
    if most is None:
        return found
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise UserError(f"data.at_most must be a whole number of at least 1, or null, not {most!r}.")
    if isinstance(splits := found.get("splits"), Mapping):
        found["splits"] = {
            name: min(count, most) if isinstance(count, int) else count for name, count in splits.items()
        }
    return found


def _sharding(asked: Any) -> Sharding | None:
    if asked is None:
        return None
    return load_settings(
        Sharding, {"format": asked} if isinstance(asked, str) else asked, where="data.shards"
    )


def request(data: Mapping[str, Any]) -> Request:
    """Check a data config against its builder's schema.

    Any data config may have two keys more. `at_most` is the most items of a split that a generator makes; sets that are read
    from files have no `splits` to cut, and are built whole. `shards`, a format or {format: …, records: …}, has the set
    written as shards.
    """
    data = _cut(data)
    sharding = _sharding(data.pop(SHARDS, None))
    name = data.get("builder")
    if name not in BUILDERS:
        near = did_you_mean(str(name), BUILDERS)
        raise UserError(f"There is no data builder {name!r}.{near} Builders: {', '.join(BUILDERS)}.")
    builder = BUILDERS[name]
    config = load_settings(builder.config, data, where="data")
    return Request(
        builder,
        config,
        {"builder": name, "version": builder.version, "config": schema.dump(config)},
        sharding,
    )
