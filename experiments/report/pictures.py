"""Figures and thumbnails of results/, which the page shows from where they lie."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from experiments.store import FIGURE_KINDS, OVERVIEW_CAPTION, Row, Store
from ntil.io import inside, read_text

OF_ERRORS = ("errors", "calibration")
SCALE = 1.2  # of a figure on the page, to its size in print
_SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')


@dataclass(frozen=True)
class Figure:
    kind: str
    caption: str
    link: str  # from the page's folder
    width: int  # pixels
    height: int
    of_errors: bool


@dataclass(frozen=True)
class Picture:
    """A prediction: what was asked, is true and was answered."""

    kinds: tuple[str, ...]
    query: str
    answer: str
    text: str
    is_right: bool
    link: str  # from the page's folder; "" for a task without pictures


def figures(store: Store, experiment: str, folder: Path) -> list[Figure]:
    """The experiment's figures that are there, kind by kind and group by group. folder: the page's."""
    return [
        _figure(path, folder, FIGURE_KINDS[kind] + (f" ({group.replace('_', ' ')})" if group else ""), kind)
        for kind, group, path in store.figures_of(experiment)
    ]


def overview_figure(store: Store, folder: Path) -> Figure | None:
    """That of all settings, where `experiments.overview` has drawn it."""
    path = store.overview_figure.with_suffix(".svg")
    return _figure(path, folder, OVERVIEW_CAPTION) if path.exists() else None


def _figure(path: Path, folder: Path, caption: str, kind: str = "") -> Figure:
    size = _SIZE.search(read_text(path))
    width, height = (float(side) * 96 / 72 * SCALE for side in size.groups()) if size else (400.0, 300.0)
    return Figure(kind, caption, _link(path, folder), round(width), round(height), kind in OF_ERRORS)


def pictures(store: Store, experiment: str, rows: Sequence[Row], folder: Path) -> Iterator[Picture]:
    root = store.gallery_path(experiment).parent
    for row in rows:
        yield Picture(
            tuple(row["kinds"].split()),
            row["query"],
            row["answer"],
            row["text"],
            float(row["error"]) == 0,
            _link(inside(root, row["picture"]), folder) if row["picture"] else "",
        )


def _link(path: Path, folder: Path) -> str:
    """The address of a file for a page in `folder`."""
    return quote(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix(), safe="/=+,~-._()")
