"""Waiting for another process that works on the same thing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def held(path: Path, notice: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path`, which ends with its process, however that ends.

    notice: said on standard error where another process has it for longer than `patience` seconds; then it is waited for.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        print(notice, file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
