"""Figures and thumbnails of results/, as the page refers to them: by relative links."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from experiments.results.rows import GalleryRow
from experiments.results.store import FIGURE_KINDS, OVERVIEW_CAPTION, Store
from ntil.io import inside

OF_ERRORS = ("errors", "calibration")
SCALE = 1.2  # of a figure on the page, to its size in print
_SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')


@dataclass(frozen=True)
class Figure:
    kind: str
    caption: str
    link: str
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
    link: str  # "" for a task without pictures
    width: int = 0  # pixels
    height: int = 0


def figures(store: Store, experiment: str, page: Path) -> list[Figure]:
    """The experiment's figures that are there, kind by kind and group by group, for a page in the folder `page`."""
    return [
        _figure(path, page, FIGURE_KINDS[kind] + (f" ({group.replace('_', ' ')})" if group else ""), kind)
        for kind, group, path in store.figures_of(experiment)
        if path.suffix == ".svg"
    ]


def overview_figure(store: Store, page: Path) -> Figure | None:
    """That of all settings, where `experiments.overview` has drawn it."""
    path = store.overview_figure.with_suffix(".svg")
    return _figure(path, page, OVERVIEW_CAPTION) if path.exists() else None


def _figure(path: Path, page: Path, caption: str, kind: str = "") -> Figure:
    size = _SIZE.search(path.read_text(encoding="utf-8"))
    width, height = (float(side) * 96 / 72 * SCALE for side in size.groups()) if size else (400.0, 300.0)
    return Figure(kind, caption, relative(path, page), round(width), round(height), kind in OF_ERRORS)


def pictures(store: Store, experiment: str, rows: Sequence[GalleryRow], page: Path) -> Iterator[Picture]:
    root = store.gallery_path(experiment).parent
    for row in rows:
        link, size = "", (0, 0)
        if row.picture:
            with Image.open(inside(root, row.picture)) as image:
                size = image.size
            link = relative(root / row.picture, page)
        yield Picture(
            tuple(row.kinds.split()),
            row.query,
            row.answer,
            row.text,
            row.error == 0,
            link,
            *size,
        )


def relative(path: Path, page: Path) -> str:
    """The link to a file from a page in the folder `page`; it holds on a disk and on a server."""
    return quote(Path(os.path.relpath(path, page)).as_posix(), safe="/=")
