"""What a job makes: a record with its picture, or the reason why there is none."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data_prep.accounts import Skipped
from data_prep.sources import shown
from ntil.data.example import Example


@dataclass(frozen=True)
class Made:
    """One record and its picture's file content (None for text-only sets)."""

    example: Example
    image: bytes | None = None


Make = Callable[[Any], Made | Skipped]  # from a job; a module-level function or a partial of one
Result = tuple[Example | Skipped, str | None]  # what a job came to, and the sha256 of its picture


def make_one(make: Make, job: Any) -> Made | Skipped:
    """What a job makes; a record that cannot be written to a file is left out."""
    made = make(job)
    if isinstance(made, Skipped):
        return made
    if (record := json.dumps(made.example.to_record(), ensure_ascii=False)) != shown(record):
        return Skipped(made.example.id, "its text or its file's name cannot be written as UTF-8")
    return made


class PicturesHash:
    """sha256 of the lines "path sha256" of the pictures, in record order."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, example: Example, digest: str | None) -> None:
        if digest is not None:
            self._sum.update(f"{example.image} {digest}\n".encode())

    def hexdigest(self) -> str:
        return self._sum.hexdigest()
