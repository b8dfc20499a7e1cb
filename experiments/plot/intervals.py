"""How differences look: a point with its 95 % interval beside a line at 0, by setting or over a swept one."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import blended_transform_factory

from experiments.compare.comparison import Comparison
from experiments.compare.groups import setting_value
from experiments.compare.labels import colours, difference_label
from experiments.compare.settings import PAIRS, Setting
from experiments.compare.statistics import ENOUGH_SEEDS, Difference
from experiments.plot.style import STYLE, WIDTH, Abscissa, mark_ticks, save
from ntil.escape import drawn
from ntil.runs.overrides import parse_override

WIDE = 3.9  # inches
LINE = 0.21  # inches for a setting or a title
LOW = 1.5  # a panel's height in inches
HOLLOW = f"under {ENOUGH_SEEDS} seeds"
AGAINST_CE = tuple(pair for pair in PAIRS if pair[1] == "ce")


def draw_settings(stem: Path, found: Sequence[Setting]) -> list[Path]:
    """<stem>.svg: a line for each setting that is judged by a share, under the title of its table.

    What lies outside the axis, which holds three quarters of the intervals, ends in an arrow.
    """
    found = [setting for setting in found if setting.column.about.unit in ("", "share")]
    if not found:
        return []
    limit = _limit([setting.difference(pair) for setting in found for pair in AGAINST_CE])
    paint = colours([ours for ours, _ in AGAINST_CE])
    ticks: dict[int, str] = {}
    with matplotlib.rc_context(STYLE):
        titles = len({setting.experiment for setting in found})
        figure = Figure(figsize=(WIDE, LINE * (len(found) + titles) + 0.7), layout="constrained")
        axis = figure.subplots()
        line = 0
        for _, group in itertools.groupby(found, key=lambda setting: setting.experiment):
            for place, setting in enumerate(group):
                if not place:
                    _title(figure, axis, line, f"{setting.title}: {setting.column.about.label}")
                    line += 1
                for index, pair in enumerate(AGAINST_CE):
                    at = line + 0.36 * (index - (len(AGAINST_CE) - 1) / 2)
                    _across(axis, at, setting, setting.difference(pair), paint[pair[0]], limit)
                ticks[line] = setting.words or f"{setting.seeds} seeds"
                line += 1
        axis.axvline(0, color="#888888", linewidth=0.7, zorder=0)
        axis.set_xlim(-limit * 1.03, limit * 1.03)
        axis.set_ylim(line - 0.4, -0.6)
        axis.set_yticks(list(ticks), [drawn(words) for words in ticks.values()])
        axis.xaxis.set_major_formatter(FuncFormatter(_signed))
        axis.set_xlabel("difference to CE; to the right: better")
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        _tidy(axis, "x")
        names = [(difference_label(*pair), paint[pair[0]]) for pair in AGAINST_CE]
        _legend(figure, names, "" if all(setting.is_told for setting in found) else HOLLOW)
        return [save(figure, stem)]


def draw_gain(stem: Path, table: Comparison, abscissa: Abscissa) -> list[Path]:
    """<stem>.svg: each row's differences to the baseline over the setting that the table is drawn along."""
    lines = {row.value: _points(table, row.value) for row in table.rows if not row.is_baseline}
    lines = {value: points for value, points in lines.items() if points}
    if not lines:
        return []
    paint = colours(list(lines))
    with matplotlib.rc_context(STYLE):
        down = len(table.columns)
        figure = Figure(figsize=(WIDTH, LOW * down + 0.5), layout="constrained")
        axes = figure.subplots(down, 1, sharex=True, squeeze=False)[:, 0]
        step = _step(abscissa.ticks)
        for index, (axis, column) in enumerate(zip(axes, table.columns, strict=True)):
            for place, (value, points) in enumerate(lines.items()):
                shift = step ** (0.22 * (place - (len(lines) - 1) / 2))
                for at, differences in points:
                    if (difference := differences[index]) is not None:
                        _upright(axis, at * shift, difference, paint[value])
            axis.axhline(0, color="#888888", linewidth=0.7, zorder=0)
            axis.set_title(drawn(f"{column.split}: {column.about.title}"), loc="left")
            axis.yaxis.set_major_formatter(FuncFormatter(_signed))
            _tidy(axis, "y")
        mark_ticks(axes[-1], abscissa)
        baseline = table.spec.baseline
        _legend(figure, [(difference_label(value, baseline), colour) for value, colour in paint.items()])
        return [save(figure, stem)]


def _points(table: Comparison, value: str) -> list[tuple[float, list[Difference | None]]]:
    """Of a row: what the swept setting is, and the difference under each column."""
    found = []
    for row in table.rows:
        words = dict(map(parse_override, row.group.split(", ")))
        at = setting_value(words.get(str(table.spec.along), ""))
        if row.value == value and set(words) == {table.spec.along} and at is not None:
            found.append((at, [entry.difference for entry in row.entries]))
    return sorted(found, key=lambda point: point[0])


def _limit(differences: Sequence[Difference]) -> float:
    """How far three quarters of the intervals reach: the widest would make points of the others."""
    reach = [max(abs(difference.low), abs(difference.high)) for difference in differences]
    return float(np.quantile(reach, 0.75)) or 1.0


def _title(figure: Figure, axis: Axes, line: float, text: str) -> None:
    """From the figure's left edge, over the names of the settings."""
    place = blended_transform_factory(figure.transFigure, axis.transData)
    axis.text(
        0.01,
        line,
        drawn(text),
        va="center",
        fontsize=6.5,
        fontweight="bold",
        transform=place,
        in_layout=False,
    )


def _across(
    axis: Axes, at: float, setting: Setting, difference: Difference, colour: str, limit: float
) -> None:
    sign = 1 if setting.column.about.better == "higher" else -1
    low, mean, high = sorted(sign * value for value in (difference.low, difference.mean, difference.high))
    face = colour if setting.is_told else "white"
    marker = "D" if setting.groups > 1 else "o"
    axis.plot([max(low, -limit), min(high, limit)], [at, at], color=colour, linewidth=0.9)
    for goes_on, end, symbol in ((low < -limit, -limit, "<"), (high > limit, limit, ">")):
        if goes_on:
            axis.plot(end, at, symbol, color=colour, markersize=3)
    if abs(mean) <= limit:
        axis.plot(mean, at, marker, color=colour, markerfacecolor=face, markersize=3.4)


def _upright(axis: Axes, at: float, difference: Difference, colour: str) -> None:
    face = colour if difference.seeds > 1 else "white"
    axis.plot([at, at], [difference.low, difference.high], color=colour, linewidth=0.9)
    axis.plot(at, difference.mean, "o", color=colour, markerfacecolor=face, markersize=3.4)


def _signed(value: float, _: int) -> str:
    return f"{value:+g}".replace("-", "−") if value else "0"


def _step(ticks: Sequence[float]) -> float:
    """The smallest factor between two ticks."""
    return min((after / before for before, after in itertools.pairwise(ticks)), default=2.0)


def _legend(figure: Figure, names: Sequence[tuple[str, str]], hollow: str = "") -> None:
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=3.4, label=drawn(name)) for name, colour in names
    ]
    if hollow:
        handles.append(
            Line2D([], [], color="#888888", marker="o", markersize=3.4, markerfacecolor="white", label=hollow)
        )
    figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False, borderpad=0)


def _tidy(axis: Axes, grid: Literal["x", "y"]) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis=grid, color="#dddddd", linewidth=0.5)
    axis.set_axisbelow(True)
