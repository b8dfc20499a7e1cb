"""Which label file goes with which picture. The same set circulates in several layouts, so places are lists to look through."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from data_prep.sources import PICTURES, shown
from data_prep.writer import Skipped
from ntil.errors import UserError

ID = "{id}"


class Places(tuple[str, ...]):
    """Paths below raw, in YAML one or a list."""

    @classmethod
    def parse(cls, value: Any, where: str) -> Self:
        places = [value] if isinstance(value, str) else value
        if not isinstance(places, list | tuple) or not places or not all(isinstance(p, str) for p in places):
            raise UserError(f"{where} must be a path or a list of paths, not {value!r}.")
        return cls(places)

    def dump(self) -> str | list[str]:
        return self[0] if len(self) == 1 else list(self)


@dataclass(frozen=True)
class Part:
    """Where a split's files are, below raw. {id} in `labels` stands for the picture's name without its ending."""

    images: Places  # the one of these folders that holds pictures
    labels: Places  # all of these that are there

    def __post_init__(self) -> None:
        for pattern in self.labels:
            if pattern.rpartition("/")[2].count(ID) != 1:
                raise UserError(f"labels must hold {ID} once, in the file's name, not {pattern!r}.")


def pairs(raw: Path, part: Part, owner: str) -> Iterator[tuple[Path, Path] | Skipped]:
    """(picture, its label file) by name, or what has no partner. `owner` ends the message where a folder is missing."""
    pictures, labels = _pictures(raw, part.images, owner), _labels(raw, part.labels, owner)
    for name in sorted(pictures.keys() | labels.keys()):
        images, texts = pictures.get(name, []), labels.get(name, [])
        if not images:
            yield from (Skipped(_below(raw, text), "its picture is missing") for text in texts)
            continue
        why = _fault(images, texts)
        if why:
            yield from (Skipped(_below(raw, image), why) for image in images)
        else:
            yield images[0], texts[0]


def _fault(images: list[Path], texts: list[Path]) -> str:
    """Why a name's files make no pair; '' if they do."""
    if len(images) > 1:
        return "another picture has the same name, so its label file may be the other's"
    if not texts:
        return "its label file is missing"
    if len(texts) > 1 and len({text.read_bytes() for text in texts}) > 1:
        return "it has several label files that differ"
    return "" if shown(images[0].name) == images[0].name else "its name is not Unicode text"


def _pictures(raw: Path, places: Places, owner: str) -> dict[str, list[Path]]:
    """Name without ending → pictures."""
    folders = [raw / place for place in places if (raw / place).is_dir()]
    if not folders:
        raise UserError(f"{_either(raw, places)} is missing. {owner}")
    found = {folder: [p for p in _files(folder) if p.suffix.lower() in PICTURES] for folder in folders}
    full = [folder for folder in folders if found[folder]]
    if len(full) > 1:
        raise UserError(
            f"{' and '.join(map(str, full))} both hold pictures; keep one, or name it with "
            f"--set parts.<split>.images={full[0].relative_to(raw).as_posix()}"
        )
    pictures: dict[str, list[Path]] = {}
    for path in found[full[0]] if full else ():
        pictures.setdefault(path.stem, []).append(path)
    return pictures


def _labels(raw: Path, patterns: Places, owner: str) -> dict[str, list[Path]]:
    """Picture name → label files, whatever the case of what stands around it."""
    places = [pattern.rpartition("/")[0] for pattern in patterns]
    if not any((raw / place).is_dir() for place in places):
        raise UserError(f"{_either(raw, places)} is missing. {owner}")
    labels: dict[str, list[Path]] = {}
    for place, pattern in zip(places, patterns, strict=True):
        before, after = map(re.escape, pattern.rpartition("/")[2].split(ID))
        for path in _files(raw / place) if (raw / place).is_dir() else ():
            match = re.fullmatch(f"{before}(.+){after}", path.name, re.IGNORECASE | re.DOTALL)
            if match:
                labels.setdefault(match[1], []).append(path)
    return labels


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _below(raw: Path, path: Path) -> str:
    return shown(path.relative_to(raw).as_posix())


def _either(raw: Path, places: Places | list[str]) -> str:
    return " or ".join(str(raw / place) for place in dict.fromkeys(places))
