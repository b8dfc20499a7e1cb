"""Records on disk: one JSON object a line in `records.jsonl`, image paths relative to the folder.

A data set is a folder:

    records.jsonl       {"id": "train-000017", "split": "train", "image": "images/train/000017.png",
                         "target": {"hour": 3, "minute": 25}, "meta": {"face": "round"}}
                        "query" is there where the question differs from item to item
    images/…            the pictures; text-only sets have none ("image": null)
    manifest.json       builder, its config and version, counts by split, skipped records and why, sha256 of records.jsonl
    contact_sheet.png   what it looks like

A folder without `manifest.json` is unfinished. Where the manifest names shards, these hold the records and the pictures
(ntil.data.shards).
"""

import hashlib
import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from ntil.data.files import StaysInside, stored
from ntil.data.records import Found, Held, JsonLines, Records
from ntil.data.shards import SHARDS, open_shards
from ntil.errors import UserError
from ntil.io import read_json, reading, sha256

RECORDS, MANIFEST, CONTACT_SHEET = "records.jsonl", "manifest.json", "contact_sheet.png"
_AS_LINE = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
RECORDS_HASH, PICTURES_HASH = "records_sha256", "pictures_sha256"  # in the manifest


@dataclass(frozen=True)
class Example:
    """One question: `query` is what is asked of this item in particular (an expression, a sum), `target` what the task
    scores against, `meta` what it may group by.
    """

    id: str
    split: str
    target: dict[str, Any]
    image: str | None = None  # relative to the data set's folder
    meta: dict[str, Any] = field(default_factory=dict)
    query: str | None = None
    held: Held | None = field(
        default=None, compare=False, repr=False
    )  # where a shard has its picture; no part of the record

    def to_record(self) -> dict[str, Any]:
        record = {
            "id": self.id,
            "split": self.split,
            "target": self.target,
            "image": self.image,
            "meta": self.meta,
        }
        return record if self.query is None else record | {"query": self.query}

    def to_line(self) -> str:
        """The record as a line of RECORDS."""
        return _AS_LINE(self.to_record()) + "\n"

    @classmethod
    def from_record(
        cls, record: dict[str, Any], where: str = "record", held: Held | None = None
    ) -> "Example":
        image = record.get("image")
        if image is not None and not isinstance(image, str):
            raise UserError(f"{where}: image must be a path or null, not {image!r}.")
        query = record.get("query")
        if query is not None and not isinstance(query, str):
            raise UserError(f"{where}: query must be text, not {query!r}.")
        try:
            return cls(
                id=str(record["id"]),
                split=str(record["split"]),
                target=dict(record["target"]),
                image=image,
                meta=dict(record.get("meta") or {}),
                query=query,
                held=held,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{where}: not a data record ({type(error).__name__}: {error}).") from None


def read_manifest(root: str | Path) -> dict[str, Any]:
    """The manifest of a finished data set, whose records are those that it speaks of.

    UserError where there is none, or the records have changed since they were written; names both hashes.
    """
    path = Path(root) / MANIFEST
    with reading(path):  # a name too long, a folder without permission
        there = path.exists()
    if not there:
        raise UserError(
            f"{root} holds no finished data set ({MANIFEST} is missing). Build it with `python -m data_prep`."
        )
    manifest: dict[str, Any] = read_json(path)
    counts = manifest.get("counts") if isinstance(manifest, dict) else None
    if not isinstance(counts, dict) or not all(type(count) is int for count in counts.values()):
        raise UserError(
            f"{path} is no manifest of a data set: it counts no records by split. Build the set anew."
        )
    _check_records(Path(root), manifest)
    return manifest


def changed_content(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """(what, its hash then, its hash now) where two manifests speak of other content; None where they agree, or `then` has no hash."""
    for what, key in (("records", RECORDS_HASH), ("pictures", PICTURES_HASH)):
        if then.get(key) and then[key] != now.get(key):
            return what, str(then[key])[:64], str(now.get(key))[:64]
    return None


def _check_records(root: Path, manifest: Mapping[str, Any]) -> None:
    """A set made by hand, whose manifest names no hash, is taken as it is."""
    wanted = manifest.get(RECORDS_HASH)
    if not wanted or not (SHARDS in manifest or (root / RECORDS).exists()):
        return  # reading the records says that they are missing
    records = _records(root, manifest)
    found = _hash_of(records) if isinstance(records, JsonLines) else _index(root, records).digest
    if found != wanted:
        what = root / (SHARDS if SHARDS in manifest else RECORDS)
        raise UserError(
            f"{what} has changed since it was written: {MANIFEST} says {str(wanted)[:64]}, its content has {found}. Put "
            f"the file back, or delete {root} and build the set anew."
        )


def _records(root: Path, manifest: Mapping[str, Any]) -> Records:
    return (
        open_shards(root, manifest) if SHARDS in manifest else JsonLines(stored((root / RECORDS).absolute()))
    )


@lru_cache(maxsize=64)
def _hash_of(records: JsonLines) -> str:
    """sha256 of a file's content, computed once for each state (size, times, …) that it is in."""
    return sha256(records.file.path)


class Examples(Sequence[Example]):
    """Examples of one split, each read when it is asked for: 8 bytes of memory for each, whatever it holds.

    They may go to other processes, by a fork or by pickle. UserError where the records have changed meanwhile.
    """

    def __init__(self, records: Records, split: str, places: np.ndarray) -> None:
        self.records, self.split, self.places = records, split, places

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> "Examples": ...
    def __getitem__(self, index: int | slice) -> "Example | Examples":
        if isinstance(index, slice):
            return Examples(self.records, self.split, self.places[index])
        place = int(self.places[index])
        example = _example(self.records, Found(place, self.records.record(place), self.split))
        if example.split != self.split:
            raise UserError(
                f"the records have changed while they are read: {example.id} is of another split."
            )
        return example

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


def _example(records: Records, found: Found) -> Example:
    return Example.from_record(found.record, found.where, records.held(found.place))


class Index(NamedTuple):
    """Split → the places of its records, in order, and the hash of all of them as lines (of shards alone)."""

    places: dict[str, np.ndarray]
    digest: str | None


@lru_cache(maxsize=8)
def _index(root: Path, records: Records) -> Index:
    """Reads every record once; UserError for the first that is none, or whose picture lies outside of `root`."""
    places: dict[str, array[int]] = {}
    pictures, lines = StaysInside(root), None if isinstance(records, JsonLines) else hashlib.sha256()
    for found in records.scan():
        example = _example(records, found)
        if example.image is not None:
            try:
                pictures.check(example.image)
            except UserError as error:
                raise UserError(f"{found.where}: {error}") from None
        if lines is not None:
            lines.update(example.to_line().encode())
        places.setdefault(example.split, array("Q")).append(found.place)
    whole = {split: np.frombuffer(numbers, np.uint64) for split, numbers in places.items()}
    return Index(whole, lines.hexdigest() if lines else None)


def read_examples(root: str | Path, split: str, limit: int | None = None) -> Examples:
    """The examples of one split, in the order of the records; `limit` takes the first so many."""
    root = Path(root)
    if limit is not None and limit < 1:
        raise UserError(f"a limit of {limit} examples leaves none; use at least 1, or null for all.")
    records = _records(root, read_manifest(root))
    places = _index(root, records).places
    if split not in places:
        raise UserError(
            f"{root} has no records of split {split!r}; it has {', '.join(sorted(places)) or 'no records'}."
        )
    return Examples(records, split, places[split][:limit])
