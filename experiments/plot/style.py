"""How every figure looks: its letters, its width, what its axis runs over, the same bytes each time."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from ntil.escape import drawn
from ntil.io import write_text

_PLAIN = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|<\?xml.*?\?>|<!DOCTYPE.*?>", re.DOTALL)
_PATH = re.compile(r' d="[^"]*"')
_LONG = re.compile(r"(\.\d\d)\d+")
WIDTH = 3.4  # inches; half a page of text
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same letters
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "ntil",
    "svg.fonttype": "path",
}


class Abscissa(NamedTuple):
    """What the curves run over; with `ticks` it is logarithmic and marks these values."""

    title: str = "training step"
    ticks: Sequence[float] = ()


STEPS = Abscissa()


def mark_ticks(axes: Axes, abscissa: Abscissa) -> None:
    axes.set_xlabel(drawn(abscissa.title))
    if abscissa.ticks:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(list(abscissa.ticks)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def save(figure: Figure, stem: Path) -> Path:
    """<stem>.svg, the same bytes each time."""
    path, drawn = stem.with_name(f"{stem.name}.svg"), io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    write_text(path, slim(drawn.getvalue()))
    return path


def slim(svg: str) -> str:
    """The same picture in fewer bytes: without comments and metadata, curves to a hundredth of a point."""
    svg = _PATH.sub(lambda path: _LONG.sub(r"\1", path[0]), _PLAIN.sub("", svg))
    return re.sub(r"\s+", " ", svg).replace("> <", "><").strip() + "\n"
