"""Where records lie: as lines of a file, or in shards. Each has a place, a number by which it is read alone.

Only places are kept in memory, 8 bytes a record, so that a set of millions takes no more than its index.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ntil.data.files import StoredFile, line_at
from ntil.io import json_object, located_jsonl, reading


class Found(NamedTuple):
    """A record, its place, and what a message calls it."""

    place: int
    record: dict[str, Any]
    where: str


class Held(NamedTuple):
    """Where a record's picture lies in a shard."""

    records: "Records"
    place: int


class Records(ABC):
    """The records of a data set; equal and hashable as long as their files are the same."""

    @abstractmethod
    def scan(self) -> Iterator[Found]:
        """Every record in order; UserError that names the file and the number of one that cannot be read."""

    @abstractmethod
    def record(self, place: int) -> dict[str, Any]:
        """The record at a place that `scan` has given."""

    def held(self, place: int) -> Held | None:
        """Where its picture lies, None where that is a file of its own."""
        return None

    def picture(self, place: int) -> bytes | None:
        """The content of its picture's file, None where the record holds none."""
        raise NotImplementedError


@dataclass(frozen=True)
class JsonLines(Records):
    """A JSON-lines file; a record's place is the byte at which its line starts."""

    file: StoredFile

    def scan(self) -> Iterator[Found]:
        name = str(self.file.path)
        for number, (offset, row) in enumerate(located_jsonl(self.file.path), start=1):
            yield Found(offset, row, f"{name}, record {number}")

    def record(self, place: int) -> dict[str, Any]:
        with reading(self.file.path):
            text = line_at(self.file, place).decode("utf-8" if place else "utf-8-sig")
            return json_object(text, f"{self.file.path}, byte {place},")
