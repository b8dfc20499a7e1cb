"""What the panels of a figure show: one value each, over steps or a swept setting, a curve for each seed."""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from experiments.compare.groups import DRAWABLE, row_value, setting_value
from experiments.compare.spec import TableSpec
from experiments.results.rows import CurveRow, MetricRow, RunRow
from ntil.escape import terminal

# What is logged in training beside the loss's terms, and the weighted totals, which mean something else in every loss.
NOT_TERMS = {"loss", "number", "grad_norm", "learning_rate", "not_finite"}
TITLES = {
    "ce": "cross-entropy",
    "emd": "digit EMD",
    "relative": "relative deviation",
    "magnitude": "magnitude deviation",
}  # of the terms that have a longer name, in the order of their panels
VALIDATION_PANELS = 2
Curve = list[tuple[float, float]]  # (step, value), ascending


@dataclass(frozen=True)
class Panel:
    """One value over steps; lines[choice] holds a curve for each seed."""

    title: str
    lines: dict[str, list[Curve]]
    logarithmic: bool = False


def along_panels(
    spec: TableSpec, along: str, rows: Sequence[RunRow], metrics: Mapping[str, MetricRow]
) -> tuple[list[Panel], list[float]]:
    """(a panel for each split and metric of the table, the values that the setting takes)."""
    points: dict[tuple[str, str], dict[str, dict[int, Curve]]] = {}  # split, metric → row → seed → curve
    ticks: set[float] = set()
    left_out: dict[str, str] = {}
    for row in rows:
        if row.value is not None and row.split in spec.splits and row.metric in spec.metrics:
            at = setting_value(row_value(row, along))
            if at is None:
                left_out[row.run] = row_value(row, along)
                continue
            ticks.add(at)
            seeds = points.setdefault((row.split, row.metric), {}).setdefault(row_value(row, spec.rows), {})
            seeds.setdefault(row.seed, []).append((at, _drawable(row.value)))
    for run, value in left_out.items():
        said = terminal(f"left out of the figure: {run}, whose {along} is {value!r} and no number above 0")
        print(said, file=sys.stderr)
    panels = [
        Panel(
            f"{split}: {_title(metric, metrics)}",
            {value: [sorted(curve) for curve in seeds.values()] for value, seeds in lines.items()},
        )
        for split in spec.splits
        for metric in spec.metrics
        if (lines := points.get((split, metric)))
    ]
    return panels, sorted(ticks)


def validation_panels(
    runs: Mapping[str, Sequence[str]],
    curves: Mapping[tuple[str, str], Curve],
    metrics: Mapping[str, MetricRow],
    wanted: Sequence[str],
) -> list[Panel]:
    """The first few of the table's metrics that were validated; without a table, of all."""
    logged = {key.removeprefix("val/") for _, key in curves if key.startswith("val/")}
    shown = [metric for metric in wanted if metric in logged] or sorted(logged)
    return [
        Panel(
            f"validation: {_title(metric, metrics)}",
            _lines(runs, curves, f"val/{metric}"),
        )
        for metric in shown[:VALIDATION_PANELS]
    ]


def _title(metric: str, metrics: Mapping[str, MetricRow]) -> str:
    return metrics[metric].title if metric in metrics else metric


def training_panels(
    runs: Mapping[str, Sequence[str]], curves: Mapping[tuple[str, str], Curve]
) -> list[Panel]:
    """A panel for each term of a loss, whatever it is called."""
    shown = {run for names in runs.values() for run in names}
    logged = {key for run, key in curves if run in shown and "/" not in key} - NOT_TERMS
    keys = [key for key in TITLES if key in logged] + sorted(logged - TITLES.keys())
    found = [Panel(f"training {TITLES.get(key, key)}", _lines(runs, curves, key), True) for key in keys]
    return [panel for panel in found if any(value > 0 for value in _values(panel))]


def _values(panel: Panel) -> Iterator[float]:
    return (value for lines in panel.lines.values() for curve in lines for _, value in curve)


def _lines(
    runs: Mapping[str, Sequence[str]], curves: Mapping[tuple[str, str], Curve], key: str
) -> dict[str, list[Curve]]:
    found = {
        value: [curves[run, key] for run in names if (run, key) in curves] for value, names in runs.items()
    }
    return {value: lines for value, lines in found.items() if lines}


def curves_of(rows: Sequence[CurveRow]) -> dict[tuple[str, str], Curve]:
    result: dict[tuple[str, str], Curve] = {}
    for row in rows:
        result.setdefault((row.run, row.key), []).append((row.step, _drawable(row.value)))
    return {name: sorted(curve) for name, curve in result.items()}


def _drawable(value: float) -> float:
    """nan, a gap in the line, for what no axis can reach."""
    return value if abs(value) < DRAWABLE else math.nan
