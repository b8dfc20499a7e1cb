"""How learning curves look: panels over each other, direct labels instead of a legend, the same bytes each time."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from experiments.compare.labels import colours, label, ordered
from experiments.plot.panels import Curve, Panel
from experiments.plot.style import STEPS, STYLE, WIDTH, Abscissa, mark_ticks, save
from ntil.escape import drawn

TALL, LOW = 1.7, 1.35  # a panel's height in inches: up to two of them, more of them
LABEL_GAP = 0.15  # between two labels, in inches
FEW_DECADES = 2.5  # from which on a logarithmic axis marks powers of ten alone


def draw(
    stem: Path, panels: Sequence["Panel"], order: Sequence[str], abscissa: Abscissa = STEPS
) -> list[Path]:
    """Write <stem>.svg; `order` says which choices come first."""
    choices = ordered([choice for panel in panels for choice in panel.lines], first=order)
    paint = colours(choices)
    with matplotlib.rc_context(STYLE):
        height = max(TALL if len(panels) <= 2 else LOW, LABEL_GAP * (len(choices) + 2))
        figure = Figure(figsize=(WIDTH, height * len(panels) + 0.3), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for place, panel in zip(axes, panels, strict=True):
            _panel(place, panel, [choice for choice in choices if choice in panel.lines], paint)
        mark_ticks(axes[-1], abscissa)
        figure.draw_without_rendering()  # the labels are spread by the panels' final heights
        for place, panel in zip(axes, panels, strict=True):
            _label_ends(place, panel, [choice for choice in choices if choice in panel.lines], paint)
        return [save(figure, stem)]


def mean_curve(curves: Sequence["Curve"]) -> "Curve":
    """Mean over the seeds at the steps that all of them have."""
    tables = [dict(curve) for curve in curves]
    steps = sorted(set.intersection(*(set(table) for table in tables)))
    return [(step, sum(table[step] for table in tables) / len(tables)) for step in steps]


def _panel(axes: Axes, panel: "Panel", choices: Sequence[str], paint: Mapping[str, str]) -> None:
    if panel.logarithmic:
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if _decades(panel) < FEW_DECADES else (1,)))
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(NullLocator())
    width = 1.6 if len(choices) <= 5 else 1.1
    for choice in choices:
        curves = panel.lines[choice]
        for curve in curves if len(curves) > 1 else []:
            axes.plot(*_points(curve), color=paint[choice], linewidth=0.5, alpha=0.55)
        mean = mean_curve(curves)
        marker = "o" if len(mean) < 12 else None
        axes.plot(*_points(mean), color=paint[choice], linewidth=width, marker=marker, markersize=1.5 * width)
    axes.set_title(drawn(panel.title), loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.margins(x=0.02)


def _decades(panel: "Panel") -> float:
    """How many powers of ten lie between the panel's smallest and largest value that a logarithmic axis can show."""
    values = [value for lines in panel.lines.values() for curve in lines for _, value in curve]
    shown = [value for value in values if math.isfinite(value) and value > 0]
    return math.log10(max(shown) / min(shown)) if shown else 0.0


def _points(curve: "Curve") -> tuple[list[float], list[float]]:
    return [step for step, _ in curve], [value for _, value in curve]


def _label_ends(axes: Axes, panel: "Panel", choices: Sequence[str], paint: Mapping[str, str]) -> None:
    """A name at the right of each line, moved apart where lines end close to each other."""
    ends = {choice: _last_shown(mean_curve(panel.lines[choice]), panel.logarithmic) for choice in choices}
    shown = {choice: value for choice, value in ends.items() if value is not None}
    pixels = [float(axes.transData.transform((0, value))[1]) for value in shown.values()]
    inches = [pixel / axes.figure.dpi for pixel in pixels]
    low, high = (edge / axes.figure.dpi for edge in axes.get_window_extent().intervaly)
    places = spread(inches, LABEL_GAP, low, high)
    for (choice, value), was, placed in zip(shown.items(), inches, places, strict=True):
        axes.annotate(
            drawn(label(choice)),
            (1.0, value),
            xycoords=axes.get_yaxis_transform(),
            xytext=(4, 72 * (placed - was)),  # points
            textcoords="offset points",
            va="center",
            color=paint[choice],
            fontweight="bold",
            annotation_clip=False,
        )


def _last_shown(curve: "Curve", logarithmic: bool) -> float | None:
    """The last value that the axis can show, None where there is none."""
    values = [value for _, value in curve if math.isfinite(value) and (value > 0 or not logarithmic)]
    return values[-1] if values else None


def spread(
    heights: Sequence[float], gap: float, low: float = -math.inf, high: float = math.inf
) -> list[float]:
    """The heights with `gap` or more between any two and inside [low, high] where they fit, moved as little as may be."""

    def centre(cluster: Sequence[int]) -> float:
        half = gap * (len(cluster) - 1) / 2
        mean = sum(heights[index] for index in cluster) / len(cluster)
        return max(low + half, min(high - half, mean))

    clusters: list[list[int]] = []
    for index in sorted(range(len(heights)), key=lambda index: heights[index]):
        clusters.append([index])
        while len(clusters) > 1:  # two clusters that overlap become one around their common centre
            below, above = clusters[-2:]
            if centre(above) - centre(below) >= gap * (len(above) + len(below)) / 2 - 1e-9:
                break
            clusters[-2:] = [below + above]
    placed = [0.0] * len(heights)
    for cluster in clusters:
        for place, index in enumerate(cluster):
            placed[index] = centre(cluster) + gap * (place - (len(cluster) - 1) / 2)
    return placed
