"""A panel for each loss over all predictions of a number."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

from ntil.errors import UserError
from ntil.explain.curves import Candidates, curves
from ntil.explain.lineup import CE, Contestant
from ntil.explain.report import Report
from ntil.explain.rows import MARKS, favoured
from ntil.explain.words import ordinal
from ntil.io import atomic_open

# Okabe and Ito's colours, which colour-blind readers can tell apart; the markers differ as well.
ALL, TRUTH, WRONG = "#0072B2", "#009E73", ("#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^vPXp*"  # for as many predictions as a report takes
COLUMNS = 12  # of the grid: three large panels on top, four small ones in each row below
LARGE = (CE, "NTIL", "NTIL decimal")
DPI = 110
TITLES = {"NTIL": "NTIL, as released", "NTIL decimal": "NTIL, decimal format (ours)"}


def draw(report: Report, shown: Candidates, png: Path) -> None:
    """Write the picture; UserError where the file cannot be written."""
    found = sorted(curves(report, shown), key=lambda pair: pair[0].name not in LARGE)
    small_rows = -(-(len(found) - len(LARGE)) // 4)
    inches = 3.0 + 1.9 * small_rows
    figure = plt.figure(figsize=(13, inches + 1.2))
    grid = figure.add_gridspec(
        1 + small_rows,
        COLUMNS,
        height_ratios=[1.5] + [1.0] * small_rows,
        left=0.05,
        right=0.985,
        bottom=0.55 / (inches + 1.2),
        top=1 - 1.15 / (inches + 1.2),
        hspace=0.42,
        wspace=0.9,
    )
    first = None
    for place, (contestant, curve) in zip(_places(grid, len(found)), found, strict=True):
        axis = figure.add_subplot(place, sharex=first)
        first = first or axis
        _panel(axis, report, shown, contestant, curve)
    _head_and_foot(figure, report, shown.every, inches + 1.2)
    try:
        with atomic_open(png, "wb") as file:
            figure.savefig(file, format="png", dpi=DPI)
    except UserError as error:
        raise UserError(f"{error} --png names another file.") from None
    finally:
        plt.close(figure)


def _head_and_foot(figure: Any, report: Report, every: int, inches: float) -> None:
    said = f"What each loss charges for every prediction of {report.target.text}"
    figure.text(0.05, 1 - 0.3 / inches, said, fontsize=16, weight="bold", va="center")
    if len(report.wrong) > 1:
        marks = ": ✓ the nearest by value, ✗ not" if report.nearest() else ""
        note = f"top right of a panel: the wrong answer it favours{marks}"
        figure.text(0.985, 1 - 0.3 / inches, note, fontsize=10, va="center", ha="right", color="#444444")
    place = (0.043, 1 - 0.62 / inches)
    figure.legend(
        handles=_legend(report, every),
        loc="center left",
        bbox_to_anchor=place,
        ncols=10,
        frameon=False,
        fontsize=11,
    )
    figure.text(0.5, 0.15 / inches, "predicted number", fontsize=11, ha="center", va="center")
    figure.text(0.012, 0.5, "loss", fontsize=11, rotation=90, ha="center", va="center")


def _places(grid: Any, panels: int) -> Iterator[Any]:
    yield from (grid[0, 4 * i : 4 * i + 4] for i in range(len(LARGE)))
    for i in range(panels - len(LARGE)):
        yield grid[1 + i // 4, 3 * (i % 4) : 3 * (i % 4) + 3]


def _panel(axis: Any, report: Report, shown: Candidates, contestant: Contestant, curve: list[float]) -> None:
    large = contestant.name in LARGE
    few = len(shown.values) <= 100
    line = {"marker": ".", "ms": 7, "lw": 0.7} if few else {"marker": ".", "ms": 2.5, "lw": 0}
    axis.plot(shown.values, curve, color=ALL, mew=0, zorder=2, **line)
    totals = report.totals(contestant.name)
    for i, (answer, cost) in enumerate(zip(report.answers, totals, strict=True)):
        assert answer.value is not None
        axis.plot(float(answer.value), cost, mec="white", mew=0.8, zorder=4, clip_on=False, **_style(i))
    axis.axvline(float(report.target.value or 0), color=TRUTH, lw=1, ls=(0, (4, 3)), zorder=1)
    axis.set_ylim(0, max(*curve, *totals, 1e-9) * 1.06)
    if max(curve) >= 10_000:
        axis.yaxis.set_major_formatter(lambda y, _: f"{y / 1000:g}k")
    axis.margins(x=0.02)
    title = TITLES.get(contestant.name, contestant.name)
    axis.set_title(title, fontsize=12 if large else 10.5, weight="bold", loc="left")
    if len(report.wrong) > 1:
        text = favoured(report, totals) + MARKS[report.verdict(totals)]
        axis.set_title(text, fontsize=11 if large else 9.5, loc="right", color="#444444")
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=9 if large else 8, color="#888888")


def _style(i: int) -> dict[str, Any]:
    """How the i-th answer is marked; the target is the first, large enough to show under a near one."""
    if i == 0:
        return {"color": TRUTH, "marker": "D", "ms": 10, "ls": ""}
    return {
        "color": WRONG[(i - 1) % len(WRONG)],
        "marker": MARKERS[(i - 1) % len(MARKERS)],
        "ms": 7,
        "ls": "",
    }


def _legend(report: Report, every: int) -> list[Line2D]:
    handles = [
        Line2D(
            [],
            [],
            color=ALL,
            marker=".",
            ls="",
            ms=7,
            label=f"every {ordinal(every)} prediction" if every > 1 else "every prediction",
        )
    ]
    for i, answer in enumerate(report.answers):
        label = f"truth {answer.text}" if i == 0 else answer.text
        handles.append(Line2D([], [], label=label, **_style(i)))
    return handles
