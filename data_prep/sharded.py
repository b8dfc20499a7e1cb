"""A data set written as shards: each range of jobs makes its own, in whichever process, so their number changes nothing.

    shards/train-00000-of-00008.parquet

A shard has one split. Records that are dropped later (the same picture as one of an earlier split) are taken out of the
shard again; so some have fewer records than the others. Each is read back before it counts.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.accounts import Account, Skipped
from data_prep.made import Make, PicturesHash, Result, make_one
from data_prep.shard_files import WRITERS, ShardWriter
from ntil.data.example import PICTURES_HASH, RECORDS_HASH, Example
from ntil.data.files import stored
from ntil.data.shards import FORMATS, SHARD_FILES, SHARDS
from ntil.errors import UserError, did_you_mean
from ntil.io import OF_WRITING, file_name, sha256, writing


@dataclass(frozen=True)
class Sharding:
    """format: of FORMATS. records: jobs of a shard, which has as many records at most."""

    format: str = "parquet"
    records: int = 10_000

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            near = did_you_mean(self.format, FORMATS)
            raise UserError(
                f"There is no format {self.format!r} of shards.{near} Formats: {', '.join(FORMATS)}."
            )
        if self.records < 1:
            raise UserError(f"shards of {self.records} records hold none; use at least 1.")


class Part(NamedTuple):
    """A shard before it has its name: its split, and which of its range's results it holds."""

    path: Path
    split: str
    start: int  # the number of the range's first job
    members: list[int]
    digest: str  # sha256 of the file


class Range(NamedTuple):
    results: list[Result]  # in the order of the jobs
    parts: list[Part]


def make_range(folder: Path, make: Make, sharding: Sharding, work: tuple[int, Sequence[Any]]) -> Range:
    """Does the jobs of a range and writes their records to shards. work: the first job's number, and the jobs."""
    start, jobs = work
    results: list[Result] = []
    files: dict[str, tuple[Path, ShardWriter, list[int]]] = {}
    with writing(folder, OF_WRITING), ExitStack() as stack:  # other errors are those of `make`
        for number, job in enumerate(jobs):
            made = make_one(make, job)
            if isinstance(made, Skipped):
                results.append((made, None))
                continue
            example, content = made.example, None if made.example.image is None else made.image
            if example.split not in files:
                path = folder / f"{start}-{len(files)}.part"
                files[example.split] = path, stack.enter_context(closing(_writer(path, sharding))), []
            _, writer, members = files[example.split]
            writer.add(start + number, example, content)
            members.append(number)
            results.append((example, None if content is None else hashlib.sha256(content).hexdigest()))
    parts = [Part(path, split, start, members, sha256(path)) for split, (path, _, members) in files.items()]
    for part in parts:
        _read_back(part, [results[member] for member in part.members], sharding)
    return Range(results, parts)


def _writer(path: Path, sharding: Sharding) -> ShardWriter:
    return WRITERS[sharding.format](path)


def _read_back(part: Part, wanted: Sequence[Result], sharding: Sharding) -> None:
    """UserError where the shard does not hold what was to be written."""
    shard = FORMATS[sharding.format](stored(part.path))
    for (place, record), (example, digest) in zip(shard.scan(), wanted, strict=True):
        assert isinstance(example, Example)
        found = hashlib.sha256(shard.picture(place) or b"").hexdigest() if digest else None
        if Example.from_record(record).to_line() != example.to_line() or found != digest:
            raise UserError(f"the record {example.id!r} reads otherwise than it was written to a shard.")


def gathered(folder: Path, ranges: Iterable[Range], account: Account, sharding: Sharding) -> dict[str, Any]:
    """Takes the records into account and gives the shards their names; what the manifest says of them."""
    lines, pictures = hashlib.sha256(), PicturesHash()
    parts: list[Part] = []
    for made in ranges:
        kept = [account.keep(*result) for result in made.results]
        for part in made.parts:
            for example, digest in (made.results[member] for member in part.members if kept[member]):
                assert isinstance(example, Example)
                lines.update(example.to_line().encode())
                pictures.add(example, digest)
            if not all(kept[member] for member in part.members):
                part = _without(part, kept, sharding)
            parts += [part] if part.members else []
    return {
        RECORDS_HASH: lines.hexdigest(),
        PICTURES_HASH: pictures.hexdigest(),
        SHARDS: asdict(sharding),
        SHARD_FILES: list(_named(folder, parts, WRITERS[sharding.format].ending)),
    }


def _without(part: Part, kept: Sequence[bool], sharding: Sharding) -> Part:
    """The shard with those of its members alone that are kept; its file is removed where there are none."""
    staying = [member for member in part.members if kept[member]]
    if not staying:
        with writing(part.path):
            part.path.unlink()
        return part._replace(members=[])
    shard = FORMATS[sharding.format](stored(part.path))
    shorter = part.path.with_suffix(".shorter")
    with writing(shorter), closing(_writer(shorter, sharding)) as writer:
        for (place, record), member in zip(shard.scan(), part.members, strict=True):
            if kept[member]:
                example = Example.from_record(record)
                content = None if example.image is None else shard.picture(place)
                writer.add(part.start + member, example, content)
    with writing(part.path):
        shorter.replace(part.path)
    return part._replace(members=staying, digest=sha256(part.path))


def _named(folder: Path, parts: Sequence[Part], ending: str) -> Iterator[dict[str, Any]]:
    """Gives the shards of each split their numbers; the entries of the manifest."""
    totals, given = Counter(part.split for part in parts), Counter[str]()
    for part in parts:
        name = f"{file_name(part.split)}-{given[part.split]:05d}-of-{totals[part.split]:05d}{ending}"
        given[part.split] += 1
        path = folder / SHARDS / name
        with writing(path):
            part.path.rename(path)
        yield {
            "name": f"{SHARDS}/{name}",
            "split": part.split,
            "records": len(part.members),
            "bytes": path.stat().st_size,
            "sha256": part.digest,
        }
