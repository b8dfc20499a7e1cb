"""Data sets in shards: archives that hold many records with their pictures, read at places like lines of a file.

    manifest.json       as of any data set, and
                        "shards": {"format": "parquet"}           or "webdataset"
                        "shard_files": [{"name": "shards/train-00000-of-00008.parquet", "split": "train",
                                         "records": 1000, "bytes": 48210, "sha256": …}, …]
    shards/…            of one split each; in the order of the manifest they hold the records of the set

The records' hash in the manifest is that of the records.jsonl which these records make, so that a set has the same hash in
either form. docs/tasks.md says what is in a shard. Nothing is ever unpacked to a path that a shard names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntil.data.files import stored
from ntil.data.records import Found, Held, Records
from ntil.data.shards.parquet import ParquetShard
from ntil.data.shards.shard import Shard
from ntil.data.shards.tar import TarShard
from ntil.errors import UserError, did_you_mean
from ntil.io import inside

FORMATS: dict[str, type[Shard]] = {"parquet": ParquetShard, "webdataset": TarShard}
SHARDS, SHARD_FILES = "shards", "shard_files"  # in the manifest
_INSIDE = 44  # bits of a place within its shard, above which its number stands: 16 TiB, and a million shards
MOST = 1 << (63 - _INSIDE)


@dataclass(frozen=True)
class Shards(Records):
    """The shards of a set. counts: of their records, by the manifest."""

    shards: tuple[Shard, ...]
    counts: tuple[int, ...]

    def scan(self) -> Iterator[Found]:
        for number, (shard, said) in enumerate(zip(self.shards, self.counts, strict=True)):
            found, name = 0, str(shard.file.path)
            for place, record in shard.scan():
                found += 1
                yield Found(number << _INSIDE | place, record, f"{name}, record {found}")
            if found != said:
                raise UserError(
                    f"{name} holds {found:,} records, and the manifest says {said:,}: it was cut, or changed since."
                )

    def record(self, place: int) -> dict[str, Any]:
        shard, inner = self._at(place)
        return shard.record(inner)

    def held(self, place: int) -> Held:
        return Held(self, place)

    def picture(self, place: int) -> bytes | None:
        shard, inner = self._at(place)
        return shard.picture(inner)

    def _at(self, place: int) -> tuple[Shard, int]:
        return self.shards[place >> _INSIDE], place & ((1 << _INSIDE) - 1)


def open_shards(root: Path, manifest: Mapping[str, Any]) -> Shards:
    """The shards that a manifest names; UserError for one that is missing, has another size, or lies elsewhere."""
    wanted, files = manifest[SHARDS], manifest.get(SHARD_FILES)
    name = wanted.get("format") if isinstance(wanted, dict) else None
    if not isinstance(name, str) or name not in FORMATS:
        raise UserError(
            f"the manifest of {root} says the shards' format is {name!r}.{did_you_mean(str(name), FORMATS)} "
            f"Formats: {', '.join(FORMATS)}."
        )
    if not isinstance(files, list) or not 0 < len(files) < MOST:
        raise UserError(f"the manifest of {root} has no list of {SHARD_FILES}; build the set anew.")
    found: dict[Path, int] = {}
    shards = []
    for entry in files:
        path, count, size = _entry(root, entry)
        if path in found:
            raise UserError(f"the manifest of {root} names the shard {path} twice.")
        found[path] = count
        file = stored(path)
        if size is not None and size != file.size:
            raise UserError(
                f"{path} has {file.size:,} bytes, and the manifest says {size:,}: it was cut, or changed since."
            )
        shards.append(FORMATS[name](file))
    return Shards(tuple(shards), tuple(found.values()))


def _entry(root: Path, entry: Any) -> tuple[Path, int, int | None]:
    """Path, records and bytes of one of the SHARD_FILES; bytes may be left out of a manifest that is written by hand."""
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("name"), str)
        or type(entry.get("records")) is not int
        or type(entry.get("bytes", 0)) is not int
    ):
        raise UserError(
            f'the manifest of {root} has a shard {str(entry)[:80]}; each needs {{"name": "shards/…", "records": 1000}}.'
        )
    path = inside(root, entry["name"])
    if not path.is_file():
        raise UserError(f"{path} does not exist, or is no file; the manifest names it as a shard.")
    return path, entry["records"], entry.get("bytes")
