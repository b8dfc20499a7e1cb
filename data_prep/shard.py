"""A built data set written as shards: `python -m data_prep shard FOLDER --to OUT --format parquet`.

Records and the bytes of pictures stay as they are, and with them the hashes of the manifest; where a set's splits are mixed,
its records are put in order by split, and so have another hash.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, overload

from data_prep.accounts import Skipped
from data_prep.made import Made
from data_prep.sharded import Sharding
from data_prep.writer import Plan, write
from ntil.data.dataset import picture_file
from ntil.data.example import (
    CONTACT_SHEET,
    PICTURES_HASH,
    RECORDS_HASH,
    Example,
    read_examples,
    read_manifest,
)
from ntil.errors import UserError
from ntil.io import inside

T = TypeVar("T")
HEADER = ("builder", "version", "config")
FROM = "sharded_from"  # in the manifest: the hashes of the set that was written as shards


def shard(source: Path, out: Path, sharding: Sharding, workers: int | None = None) -> Path:
    """Write the data set in `source` to `out` as shards, whole or not at all, unless it is there already.

    UserError where a picture is missing, or is not what it was when the set was built.
    """
    manifest = read_manifest(source)
    hashes = {key: manifest.get(key) for key in (RECORDS_HASH, PICTURES_HASH)}
    header = {key: manifest[key] for key in HEADER if key in manifest} | {FROM: hashes}
    plan = Plan(
        jobs=Joined([read_examples(source, split) for split in manifest["counts"]]),
        make=partial(_copied, source),
        sheet=partial(_copy_sheet, source),
        skipped=list(_skipped(manifest)),
        check=partial(_check_pictures, source, hashes),
    )
    return write(out, plan, header, workers, sharding)


def _copied(source: Path, example: Example) -> Made:
    content = None
    if example.image is not None:
        try:
            content = picture_file(example, source)
        except UserError as error:
            raise UserError(f"record {example.id!r}: {error}") from None
    return Made(replace(example, held=None), content)


def _skipped(manifest: Mapping[str, Any]) -> Iterator[Skipped]:
    listed = manifest.get("skipped")
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict):
            yield Skipped(str(entry.get("what")), str(entry.get("why")))


def _check_pictures(source: Path, before: Mapping[str, Any], written: Mapping[str, Any]) -> None:
    if written[RECORDS_HASH] != before[RECORDS_HASH] or not before[PICTURES_HASH]:
        return  # of another order, or made by hand
    if written[PICTURES_HASH] != before[PICTURES_HASH]:
        raise UserError(
            f"the pictures of {source} have changed since they were written: its manifest says {str(before[PICTURES_HASH])[:64]}, "
            f"and they have {written[PICTURES_HASH]}. Build the set anew."
        )


def _copy_sheet(source: Path, out: Path) -> None:
    if (sheet := inside(source, CONTACT_SHEET)).is_file():
        shutil.copyfile(sheet, out)


class Joined(Sequence[T]):
    """Sequences one behind the other; a slice of them is one, too, and holds no more than it gives."""

    def __init__(self, parts: Sequence[Sequence[T]]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self.parts)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> "Joined[T]": ...
    def __getitem__(self, index: int | slice) -> "T | Joined[T]":
        if isinstance(index, int):
            return next(iter(self[index : index + 1]))
        start, stop, _ = index.indices(len(self))
        found, begin = [], 0
        for part in self.parts:
            found.append(part[max(0, start - begin) : max(0, stop - begin)])
            begin += len(part)
        return Joined([part for part in found if len(part)])
