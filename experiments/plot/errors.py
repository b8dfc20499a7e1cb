"""How errors and calibration look: panels for each group of runs, on the first split of the table."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from experiments.compare.errors import Analysis, Calibration, RowErrors, Shares
from experiments.compare.labels import colours, label, ordered
from experiments.plot.style import STYLE, save
from experiments.write.grids import number
from ntil.escape import drawn

WIDTH, WIDE = 3.4, 5.4  # inches of a histogram: half a page of text; with many rows side by side
MANY = 5  # rows from which a histogram is wide
TALL, SQUARE = 1.75, 2.7  # a panel's height in inches
ACROSS = 2  # reliability diagrams beside each other
LETTER = 0.055  # inches of a letter of 7 points
FEW = 20  # tokens under which a point of a reliability diagram is drawn hollow


def draw_errors(stem: Path, found: Analysis, order: Sequence[str]) -> list[Path]:
    """<stem>.svg: how far off the answers are, and which share of the digits is wrong at each place."""
    groups = {group: rows for group, rows in _groups(found).items() if any(row.magnitude for row in rows)}
    if not groups:
        return []
    choices = _choices(groups, order)
    sides = 2 if any(row.places for rows in groups.values() for row in rows) else 1
    across = (
        sides if sides == 2 or len(groups) < MANY else 2
    )  # without places, many groups stand in two columns
    down = math.ceil(len(groups) * sides / across)
    width = WIDE if len(choices) > MANY else WIDTH
    every = [row for rows in groups.values() for row in rows]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width * across, TALL * down + 0.5), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False)
        for axis in axes.flat[len(groups) * sides :]:
            axis.set_axis_off()
        for place, (group, rows) in enumerate(groups.items()):
            axis = axes.flat[place * sides]
            _bars(axis, {row.value: row.magnitude for row in rows}, _shown_bins(found, every), choices)
            _name(axis, _title(rows, group), found.title, "share of all answers")
            if sides == 2:
                axis = axes.flat[place * sides + 1]
                _bars(axis, {row.value: row.places for row in rows}, _shown_places(found, every), choices)
                _name(axis, _title(rows, group), "place in the answer", "share of digits wrong")
        figure.legend(
            handles=[Patch(color=paint, label=drawn(label(choice))) for choice, paint in choices.items()],
            loc="outside upper left",
            ncols=6 if across == 2 else 4,
            frameon=False,
            borderpad=0,
            handlelength=1,
        )
        return [save(figure, stem)]


def draw_calibration(stem: Path, found: Analysis, order: Sequence[str]) -> list[Path]:
    """<stem>.svg: the share of right digits over the probability they were written with."""
    groups = {group: rows for group, rows in _groups(found).items() if any(row.calibration for row in rows)}
    if not groups:
        return []
    choices = _choices(groups, order)
    across = min(ACROSS, len(groups))
    down = math.ceil(len(groups) / across)
    with matplotlib.rc_context(STYLE):
        longest = max(len(label(choice)) for choice in choices)
        width = WIDTH + LETTER * max(0, longest - len("EMD"))  # names stand beside the panels
        figure = Figure(figsize=(width * across, SQUARE * down + 0.2), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).flat[:]
        for axis in axes:
            axis.set_axis_off()
        for axis, (group, rows) in zip(axes, groups.items(), strict=False):
            _reliability(axis, {row.value: row.calibration for row in rows if row.calibration}, choices)
            _name(
                axis, _title(rows, group), "probability of the written digit", "share of them that is right"
            )
        return [save(figure, stem)]


def _groups(found: Analysis) -> dict[str, list[RowErrors]]:
    """The rows of the first split by group, in the table's order."""
    groups: dict[str, list[RowErrors]] = {}
    for row in found.of(found.rows[0].split):
        groups.setdefault(row.group, []).append(row)
    return groups


def _choices(groups: Mapping[str, Sequence[RowErrors]], order: Sequence[str]) -> dict[str, str]:
    """Row value → colour, in the order of the other figures."""
    there = [row.value for rows in groups.values() for row in rows]
    return colours([choice for choice in ordered(there, first=order) if choice in there])


def _bars(
    axis: Axes, shares: Mapping[str, Shares | None], names: Sequence[str], choices: Mapping[str, str]
) -> None:
    """Bars side by side for the means, a dot for each seed."""
    there = [choice for choice in choices if shares.get(choice)]
    width = 0.8 / max(len(there), 1)
    for index, choice in enumerate(there):
        found = shares[choice]
        assert found is not None
        known = [(place, name) for place, name in enumerate(names) if name in found.over_seeds]
        at = [place - 0.4 + width * (index + 0.5) for place, _ in known]
        means = [found.over_seeds[name].mean or 0.0 for _, name in known]
        axis.bar(at, means, width * 0.9, color=choices[choice])
        dots = [(x, value) for x, (_, name) in zip(at, known, strict=True) for value in found.seeds[name]]
        if len(dots) > len(known):
            axis.plot(
                *zip(*dots, strict=True),
                "o",
                color="white",
                markersize=1.8,
                markeredgecolor="black",
                markeredgewidth=0.3,
            )
    axis.set_xticks(range(len(names)), [drawn(name) for name in names])
    axis.tick_params(axis="x", length=0)
    axis.set_xlim(-0.6, len(names) - 0.4)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
    axis.grid(axis="y", color="#dddddd", linewidth=0.5)


def _reliability(axis: Axes, calibrations: Mapping[str, Calibration], choices: Mapping[str, str]) -> None:
    axis.set_axis_on()
    axis.plot([0, 1], [0, 1], color="#aaaaaa", linewidth=0.7, linestyle=(0, (4, 3)))
    there = [choice for choice in choices if choice in calibrations]
    for index, choice in enumerate(there):
        found, paint = calibrations[choice], choices[choice]
        xs, ys, counts = zip(*found.points, strict=True)
        many = [(x, y) for x, y, count in found.points if count >= FEW]
        axis.plot([x for x, _ in many], [y for _, y in many], color=paint, linewidth=0.9)
        faces = [paint if count >= FEW else "white" for count in counts]
        areas = [5 * math.log10(count + 1) for count in counts]
        axis.scatter(xs, ys, s=areas, c=faces, edgecolors=paint, linewidths=0.8, zorder=3, clip_on=False)
        deviation = f" ± {number(found.ece.sd, 3)}" if found.ece.sd is not None else ""
        _beside(axis, index + 1, f"{label(choice)} {number(found.ece.mean, 3)}{deviation}", paint)
    _beside(axis, 0, "calibration error", "black")
    axis.set_xlim(0, 1.02)
    axis.set_ylim(0, 1.02)
    axis.grid(color="#dddddd", linewidth=0.5)


def _beside(axis: Axes, line: int, text: str, paint: str) -> None:
    """A line of text at the right of the panel, where no point can lie under it."""
    axis.annotate(
        drawn(text),
        (1.0, 1.0),
        xycoords="axes fraction",
        xytext=(5, -10 * line),  # points
        textcoords="offset points",
        va="top",
        color=paint,
        fontsize=7,
        annotation_clip=False,
    )


def _shown_bins(found: Analysis, rows: Sequence[RowErrors]) -> list[str]:
    """Without the right answers, and without the last bin (no answer) where it is empty."""
    names = list(found.bins[found.hidden :])
    last = [row.magnitude.over_seeds[names[-1]].mean for row in rows if row.magnitude]
    return names if any(last) else names[:-1]


def _shown_places(found: Analysis, rows: Sequence[RowErrors]) -> list[str]:
    return [
        name for name in found.places if any(row.places and name in row.places.over_seeds for row in rows)
    ]


def _title(rows: Sequence[RowErrors], group: str) -> str:
    return textwrap.fill(f"{rows[0].split}: {group}" if group else rows[0].split, 48)


def _name(axis: Axes, title: str, abscissa: str, ordinate: str) -> None:
    axis.set_title(drawn(title), loc="left")
    axis.set_xlabel(drawn(abscissa))
    axis.set_ylabel(ordinate)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_axisbelow(True)
