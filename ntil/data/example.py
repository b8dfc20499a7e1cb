"""Records on disk: one JSON object a line in `records.jsonl`, image paths relative to the folder.

A data set is a folder:

    records.jsonl       {"id": "train-000017", "split": "train", "image": "images/train/000017.png",
                         "target": {"hour": 3, "minute": 25}, "meta": {"face": "round"}}
                        "query" is there where the question differs from item to item
    images/…            the pictures; text-only sets have none ("image": null)
    manifest.json       builder, its config and version, counts by split, skipped records and why, sha256 of records.jsonl
    contact_sheet.png   what it looks like

`manifest.json` is written last: a folder without it is unfinished.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ntil.errors import UserError
from ntil.io import inside, read_json, read_jsonl, reading, sha256

RECORDS, MANIFEST, CONTACT_SHEET = "records.jsonl", "manifest.json", "contact_sheet.png"
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

    def to_record(self) -> dict[str, Any]:
        record = asdict(self)
        if self.query is None:
            del record["query"]
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any], where: str = "record") -> "Example":
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
    _check_records(Path(root), manifest.get(RECORDS_HASH))
    return manifest


def changed_content(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """(what, its hash then, its hash now) where two manifests speak of other content; None where they agree, or `then` has no hash."""
    for what, key in (("records", RECORDS_HASH), ("pictures", PICTURES_HASH)):
        if then.get(key) and then[key] != now.get(key):
            return what, str(then[key])[:64], str(now.get(key))[:64]
    return None


def _check_records(root: Path, wanted: Any) -> None:
    """A set made by hand, whose manifest names no hash, is taken as it is."""
    records = root / RECORDS
    if not wanted or not records.exists():  # reading the records says that they are missing
        return
    with reading(records):
        state = records.stat()
        found = _hash_of(
            records.absolute(), (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        )
    if found != wanted:
        raise UserError(
            f"{records} has changed since it was written: {MANIFEST} says {str(wanted)[:64]}, its content has {found}. Put "
            f"the file back, or delete {root} and build the set anew."
        )


@lru_cache(maxsize=64)
def _hash_of(path: Path, state: tuple[int, ...]) -> str:
    """sha256 of a file's content, computed once for each state (size, times, …) that it is in."""
    del state
    return sha256(path)


def read_examples(root: str | Path, split: str, limit: int | None = None) -> list[Example]:
    """The examples of one split, in file order; `limit` takes the first so many."""
    root = Path(root)
    if limit is not None and limit < 1:
        raise UserError(f"a limit of {limit} examples leaves none; use at least 1, or null for all.")
    read_manifest(root)
    examples: list[Example] = []
    splits: set[str] = set()
    for number, record in enumerate(read_jsonl(root / RECORDS), start=1):
        example = Example.from_record(record, where=f"{root / RECORDS}, record {number}")
        splits.add(example.split)
        if example.split != split:
            continue
        if example.image is not None:
            inside(root, example.image)
        examples.append(example)
        if limit is not None and len(examples) >= limit:
            break
    if not examples:
        raise UserError(
            f"{root} has no records of split {split!r}; it has {', '.join(sorted(splits)) or 'no records'}."
        )
    return examples
