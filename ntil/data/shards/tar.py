"""A tar of the WebDataset layout: the members of a record follow each other and have one name up to its first point.

    000000017.json      the record, as a line of records.jsonl has it
    000000017.png       its picture, where it has one; any other ending

The place of a record is the byte at which its first member's header starts. Members are read where they lie; links, devices
and names that lead anywhere else are refused, and so is what says to be longer than the file.
"""

import io
import re
import tarfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from ntil.data.files import StoredFile, read_at
from ntil.data.shards.shard import MOST_PICTURE, MOST_RECORD, Shard
from ntil.errors import UserError
from ntil.io import json_object

RECORD = "json"  # the ending of a record's member
_LEADS_OUT = re.compile(r"^/|^[A-Za-z]:|\\|\0|(^|/)\.\.(/|$)")
BLOCK = 1 << 14  # bytes that are read at a time, so that a record's headers and its text come together


class Sample(NamedTuple):
    """The members of one record: (first byte, bytes) by their ending."""

    place: int
    key: str
    members: dict[str, tuple[int, int]]


class Member(NamedTuple):
    """A file in an archive: where its first header starts, and where its content does; bytes."""

    name: str
    place: int
    data: int
    size: int
    is_file: bool = True


def _plain(header: bytes, place: int) -> Member | None:
    """The member of a header of the plain kind that most have; tarfile, which takes ten times as long, reads the others."""
    name, size = header[:100].partition(b"\0")[0], header[124:135]
    if (
        header[257:263] not in (b"ustar\0", b"ustar ")
        or header[156:157] not in (b"0", b"\0")
        or header[345:346] != b"\0"  # the rest of a long name
        or not (size.isdigit() and name.isascii() and len(header) == tarfile.BLOCKSIZE)
        or name.endswith(b"/")
        or sum(header) - sum(header[148:156]) + 8 * ord(" ") != int(header[148:156].strip(b" \0") or b"0", 8)
    ):
        return None
    return Member(name.decode(), place, place + tarfile.BLOCKSIZE, int(size, 8))


class TarShard(Shard):
    def scan(self) -> Iterator[tuple[int, dict[str, Any]]]:
        keys = set()
        with self._reading(tarfile.TarError):
            for sample in self._samples(0):
                if sample.key in keys:
                    raise self._fault(sample.key, "stands in it twice")
                keys.add(sample.key)
                yield sample.place, self._record(sample)

    def record(self, place: int) -> dict[str, Any]:
        with self._reading(tarfile.TarError):
            return self._record(self._sample(place))

    def picture(self, place: int) -> bytes | None:
        with self._reading(tarfile.TarError):
            for ending, (start, size) in self._sample(place).members.items():
                if ending != RECORD:
                    return read_at(self.file, start, size)
        return None

    def _sample(self, place: int) -> Sample:
        for sample in self._samples(place):
            return sample
        raise UserError(f"{self.file.path} has no record at byte {place}; it was changed.")

    def _record(self, sample: Sample) -> dict[str, Any]:
        if RECORD not in sample.members:
            raise self._fault(f"{sample.key}.{RECORD}", "is missing")
        start, size = sample.members[RECORD]
        text = read_at(self.file, start, size).decode("utf-8-sig")
        record = json_object(text, f"{self.file.path}, {sample.key}.{RECORD},")
        if (record.get("image") is None) == (len(sample.members) > 1):
            has = (
                "has a picture and names none" if len(sample.members) > 1 else "names a picture and has none"
            )
            raise self._fault(sample.key, has)
        return record

    def _samples(self, start: int) -> Iterator[Sample]:
        sample: Sample | None = None
        for member in self._members(start):
            folder, slash, name = member.name.rpartition("/")
            stem, _, ending = name.partition(".")
            key = folder + slash + stem
            if sample is not None and key != sample.key:
                yield sample
                sample = None
            if sample is None:
                sample = Sample(member.place, key, {})
            if ending in sample.members:
                raise self._fault(member.name, "stands in it twice")
            if ending != RECORD and sample.members.keys() - {RECORD}:
                raise self._fault(key, f"has more than a .{RECORD} and one picture")
            most = MOST_RECORD if ending == RECORD else MOST_PICTURE
            if member.size > most:
                raise self._fault(member.name, f"has {member.size:,} bytes, of at most {most:,}")
            sample.members[ending] = member.data, member.size
        if sample is not None:
            yield sample

    def _members(self, start: int) -> Iterator[Member]:
        """The files in the archive from a header on, each within it."""
        window = _Window(self.file)
        while True:
            window.seek(start)
            header = window.read(tarfile.BLOCKSIZE)
            if not header.strip(b"\0"):  # the end of the archive, or of the file
                return
            member = _plain(header, start) or self._other(window, start)
            if _LEADS_OUT.search(member.name):
                raise self._fault(member.name, "is a name that leads out of an archive")
            if not 0 <= member.size <= self.file.size - member.data or member.data <= start:
                raise self._fault(member.name, f"says it has {member.size:,} bytes, more than are there")
            if member.is_file:
                yield member
            start = member.data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE

    def _other(self, window: "_Window", start: int) -> Member:
        """A member whose header is no plain one: with a long name, a size of its own, or of another kind."""
        window.seek(start)
        archive = tarfile.TarFile(fileobj=window)
        found = archive.next()
        if found is None:
            raise UserError(f"{self.file.path} has no header of a member at byte {start:,}: it is damaged.")
        if archive.pax_headers:
            raise self._fault(found.name, "stands under a global header, which is not supported")
        if not (found.isdir() or found.type in (tarfile.REGTYPE, tarfile.AREGTYPE)) or found.issparse():
            raise self._fault(found.name, "is no plain file but a link, a device or the like")
        size = 0 if found.isdir() else found.size
        return Member(found.name, start, found.offset_data, size, not found.isdir())

    def _fault(self, member: str, what: str) -> UserError:
        return UserError(f"{self.file.path}: the member {member[:100]!r} {what}.")


class _Window(io.RawIOBase):
    """A stored file for tarfile, which asks for as many bytes as a header says; it gets those that there are."""

    def __init__(self, file: StoredFile) -> None:
        self.file, self.position, self.start, self.block = file, 0, 0, b""

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < 0:
            raise ValueError("a header leads out of the archive")
        self.position = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.file.size - self.position)
        size = left if size < 0 else min(size, left)
        begin = self.position - self.start
        if begin < 0 or begin + size > len(self.block):
            self.start, begin = self.position, 0
            self.block = read_at(self.file, self.position, max(size, BLOCK))
        self.position += size
        return self.block[begin : begin + size]
