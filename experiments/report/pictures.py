"""Figures and thumbnails of results/ as data URIs, so that the page is one file."""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from experiments.results.csv_files import Row
from experiments.results.store import FIGURE_KINDS, OVERVIEW_CAPTION, Store
from ntil.io import inside

OF_ERRORS = ("errors", "calibration")
SCALE = 1.2  # of a figure on the page, to its size in print
_PLAIN = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|<\?xml.*?\?>|<!DOCTYPE.*?>", re.DOTALL)
_PATH = re.compile(r' d="[^"]*"')
_LONG = re.compile(r"(\.\d\d)\d+")
_SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')


@dataclass(frozen=True)
class Figure:
    kind: str
    caption: str
    uri: str
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
    uri: str  # "" for a task without pictures


def figures(store: Store, experiment: str) -> list[Figure]:
    """The experiment's figures that are there, kind by kind and group by group."""
    return [
        _figure(path, FIGURE_KINDS[kind] + (f" ({group.replace('_', ' ')})" if group else ""), kind)
        for kind, group, path in store.figures_of(experiment)
        if path.suffix == ".svg"
    ]


def overview_figure(store: Store) -> Figure | None:
    """That of all settings, where `experiments.overview` has drawn it."""
    path = store.overview_figure.with_suffix(".svg")
    return _figure(path, OVERVIEW_CAPTION) if path.exists() else None


def _figure(path: Path, caption: str, kind: str = "") -> Figure:
    svg = slim(path.read_text(encoding="utf-8"))
    size = _SIZE.search(svg)
    width, height = (float(side) * 96 / 72 * SCALE for side in size.groups()) if size else (400.0, 300.0)
    return Figure(kind, caption, svg_uri(svg), round(width), round(height), kind in OF_ERRORS)


def pictures(store: Store, experiment: str, rows: Sequence[Row]) -> Iterator[Picture]:
    root = store.gallery_path(experiment).parent
    for row in rows:
        uri = ""
        if row["picture"]:
            data = inside(root, row["picture"]).read_bytes()
            uri = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
        yield Picture(
            tuple(row["kinds"].split()),
            row["query"],
            row["answer"],
            row["text"],
            float(row["error"]) == 0,
            uri,
        )


def slim(svg: str) -> str:
    """The same picture in fewer bytes: without comments and metadata, curves to a hundredth of a point."""
    svg = _PATH.sub(lambda path: _LONG.sub(r"\1", path[0]), _PLAIN.sub("", svg))
    return re.sub(r"\s+", " ", svg).replace("> <", "><").strip()


def svg_uri(svg: str) -> str:
    """Percent-encoded, which takes a third less than base64."""
    return "data:image/svg+xml," + quote(svg.replace('"', "'"), safe=" =:/;,.()'+-*!?@[]|")
