"""Files that are read at places: by many processes at once, and only as long as they are what they were.

A handle is opened once in each process and read with pread, so that neither a fork nor a thread moves another's position.
"""

import os
import stat
import weakref
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ntil.errors import UserError
from ntil.io import inside, reading

LINE = 2048  # bytes that are read for a line at first
AT_ONCE = 32  # handles that are kept open


class StoredFile(NamedTuple):
    """A file as it was when reading began: its size in bytes and what shows that it was changed."""

    path: Path
    size: int
    state: tuple[int, ...]


class _Handle:
    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self.number)


def stored(path: Path) -> StoredFile:
    """The file as it is now; UserError where it cannot be read."""
    with reading(path):
        now = os.stat(path)
    if not stat.S_ISREG(now.st_mode):
        raise UserError(f"{path} is no file.")
    return _as_it_is(path, now)


def _as_it_is(path: Path, now: os.stat_result) -> StoredFile:
    return StoredFile(path, now.st_size, (now.st_mtime_ns, now.st_ctime_ns, now.st_ino))


def read_at(file: StoredFile, offset: int, size: int) -> bytes:
    """`size` bytes from `offset` on, fewer at the end; UserError where it has changed since it was `stored`."""
    with reading(file.path):
        handle = _opened(file, os.getpid()).number
        if hasattr(os, "pread"):
            return os.pread(handle, size, offset)
        os.lseek(handle, offset, os.SEEK_SET)  # Windows
        return os.read(handle, size)


def line_at(file: StoredFile, offset: int) -> bytes:
    """The line that starts at `offset`, without its end."""
    size = LINE
    while True:
        content = read_at(file, offset, size)
        end = content.find(b"\n")
        if end >= 0 or len(content) < size:
            return content[: end if end >= 0 else None]
        size *= 8


@lru_cache(maxsize=AT_ONCE)
def _opened(file: StoredFile, process: int) -> _Handle:
    del process  # a forked one opens its own
    handle = _Handle(file.path)
    if _as_it_is(file.path, os.fstat(handle.number)) != file:
        raise UserError(f"{file.path} has changed while it is in use. Start the same command again.")
    return handle


class StaysInside:
    """Whether paths stay in a folder, as `ntil.io.inside` has it, for many paths: each folder that they name is followed
    once, and of its files only links are.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._links = lru_cache(maxsize=4096)(self._links_in)

    def check(self, relative: str) -> None:
        """UserError where the path leaves the folder."""
        parent, _, name = relative.rpartition("/")
        plain = name not in ("", ".", "..") and not relative.startswith("/") and not _ODD & set(relative)
        if not plain or name in self._links(parent):
            inside(self.root, relative)

    def _links_in(self, parent: str) -> frozenset[str]:
        folder = inside(self.root, parent)
        try:
            with os.scandir(folder) as entries:
                return frozenset(entry.name for entry in entries if entry.is_symlink())
        except OSError:  # who opens its pictures says what is wrong
            return frozenset()


_ODD = frozenset("\0\\:")
