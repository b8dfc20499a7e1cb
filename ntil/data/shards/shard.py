"""One archive of records with their pictures."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ntil.data.files import StoredFile
from ntil.errors import UNEXPECTED, UserError

MOST_RECORD = 16 << 20  # bytes of a record
MOST_PICTURE = 512 << 20  # bytes of a picture's file


@dataclass(frozen=True)
class Shard(ABC):
    """An archive. Whatever is wrong with it is a UserError that names it."""

    file: StoredFile

    @abstractmethod
    def scan(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(place, record) for each record in order; pictures are not read."""

    @abstractmethod
    def record(self, place: int) -> dict[str, Any]: ...

    @abstractmethod
    def picture(self, place: int) -> bytes | None: ...

    @contextmanager
    def _reading(self, *kinds: type[Exception]) -> Iterator[None]:
        """What a reader raises at a damaged archive becomes a UserError. kinds: the reader's own."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if not isinstance(error, (*kinds, OSError, EOFError, MemoryError, *UNEXPECTED)):
                raise
            said = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(f"{self.file.path} cannot be read as a shard ({said[:300]}).") from None
