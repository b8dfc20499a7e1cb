"""A figure of results/bench.csv: time and memory of each loss against F.cross_entropy."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

from experiments.bench.losses import is_of, read_rows
from experiments.bench.timed import BASELINE, Workload
from experiments.plot.style import STYLE, save
from ntil.errors import UserError

SHOWN = {  # loss → colour
    "NTIL": "#D55E00",
    "CE + NTIL, logits overwritten": "#E69F00",
    "CE + NTIL": "#D55E00",
    "CE + NTIL, not fused": "#CC79A7",
    "ntloss": "#56B4E9",
    "F.cross_entropy + 0.3 ntloss": "#0072B2",
    "NTIL as loops": "#4d4d4d",
}
SETTINGS = (Workload(8, 256, 32_000, 0.24, "float32", 1), Workload(4, 256, 151_936, 0.24, "float32", 1))
WIDTH, HEIGHT = 7.0, 2.6  # inches
LEFT, TICKS = 0.1, (0.1, 0.25, 0.5, 1, 2, 4, 10, 30)  # of the logarithmic axes

Row = dict[str, str]


def draw(results: Path) -> list[Path]:
    """Writes results/figures/bench.svg: a row of panels for each of two settings, time and memory."""
    path = results / "bench.csv"
    if not path.exists():
        raise UserError(f"{path} does not exist; `python -m experiments.bench losses` measures it.")
    rows = read_rows(path)
    found = [(setting, mine) for setting in SETTINGS if (mine := [r for r in rows if is_of(r, setting)])]
    if not found:
        raise UserError(f"{path} has neither of the settings that the figure shows.")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT * len(found)), layout="constrained")
        axes = figure.subplots(len(found), 2, squeeze=False, sharey="row")
        for (setting, mine), (time, memory) in zip(found, axes, strict=True):
            _bars(time, mine, "ratio", f"time, {_name(setting)}")
            _bars(memory, mine, "memory_ratio", "peak memory beyond the inputs")
        for place in axes[-1]:
            place.set_xlabel(f"× {BASELINE}, forward and backward")
        return [save(figure, results / "figures" / "bench")]


def _name(setting: Workload) -> str:
    return f"B={setting.batch} T={setting.tokens} V={setting.vocabulary:,}"


def _bars(axes: Axes, rows: Sequence[Row], column: str, title: str) -> None:
    """Horizontal bars on a logarithmic axis, each with its figure; a line at 1."""
    values = {row["loss"]: float(row[column]) for row in rows if row[column]}
    names = [name for name in SHOWN if name in {row["loss"] for row in rows}][::-1]
    axes.axvline(1, color="#4d4d4d", linewidth=0.8)
    for height, name in enumerate(names):
        value = values.get(name)
        if value:  # what takes no memory has no bar on a logarithmic axis
            axes.barh(height, value - LEFT, left=LEFT, color=SHOWN[name], height=0.65)
        said = "–" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"
        place = (max(value or LEFT, LEFT), height)
        box = {"boxstyle": "square,pad=0.1", "color": "white"}  # the line at 1 does not cross a figure
        axes.annotate(said, place, (4, 0), textcoords="offset points", va="center", bbox=box)
    axes.set_xscale("log")
    axes.set_xlim(LEFT, 3 * max([*values.values(), 1]))
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.set_yticks(range(len(names)), names)
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
