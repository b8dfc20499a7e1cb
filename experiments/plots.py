"""Draw the figures of experiments from results/ alone: learning curves, or metrics over a swept setting.

    python -m experiments.plots                     every experiment in results/
    python -m experiments.plots clock_demo

Writes results/figures/<experiment>_validation.svg and _training.svg: a thin line for each seed, a thick one for
the mean over seeds at the steps that all seeds have, a colour for each loss (the same in every figure). Parts of the
training loss stand on a logarithmic axis. A preset whose table says `along: <override>` gets two others instead:
<experiment>_along, its metrics over that setting, and <experiment>_gain, their differences to the baseline with intervals.
<experiment>_errors shows how far off the answers are and which digits are wrong, <experiment>_calibration how often digits
are right that were written with a certain probability (hollow: under 20 of them). Made for half a page's width. Older
figures of the experiment that it no longer has are removed.
"""

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.command import add_experiments, add_results, parser_of
from experiments.comparison import DRAWABLE, TableSpec, compare, row_groups, row_value, setting_value
from experiments.curves import Abscissa, draw
from experiments.errors.analysis import analyse
from experiments.errors.plots import draw_calibration, draw_errors
from experiments.intervals import draw_gain
from experiments.presets import grid_values, table_spec
from experiments.store import Row, Store
from ntil.errors import UserError, did_you_mean, guard, run_command
from ntil.escape import terminal
from ntil.io import file_name
from ntil.runs.run import ROOT_CONF

# What is logged in training beside the loss's terms, and the weighted totals, which mean something else in every loss.
NOT_TERMS = {"loss", "number", "grad_norm", "learning_rate", "not_finite"}
TITLES = {
    "ce": "cross-entropy",
    "emd": "digit EMD",
    "relative": "relative deviation",
    "magnitude": "magnitude deviation",
}  # of the terms that have a longer name, in the order of their panels
VALIDATION_PANELS = 2
ALONG = {"trainer.train_examples": "training examples", "trainer.max_steps": "training steps"}  # axis titles

Curve = list[tuple[float, float]]  # (step, value), ascending


@dataclass(frozen=True)
class Panel:
    """One value over steps; lines[choice] holds a curve for each seed."""

    title: str
    lines: dict[str, list[Curve]]
    logarithmic: bool = False


def main(argv: Sequence[str] | None = None, conf: Path = ROOT_CONF) -> int:
    parser = parser_of("plots", __doc__)
    add_experiments(parser, "all")
    add_results(parser)
    arguments = parser.parse_args(argv)
    return guard(lambda: plots(arguments.results, arguments.experiments, conf))


def plots(results: Path, names: Sequence[str], conf: Path = ROOT_CONF) -> int:
    """Returns the exit code 0; UserError where there is nothing to draw."""
    store = Store(results)
    collected = store.experiments()
    for name in names:
        if name not in collected:
            near = did_you_mean(name, collected)
            raise UserError(
                f"{store.runs_path} has no experiment {name!r}.{near} It has: {', '.join(collected) or '–'}."
            )
    written: list[Path] = []
    for name in names or collected:
        drawn = write_figures(store, name, conf)
        written += drawn
        if drawn:
            _remove_others(store, name, drawn)
    if not written:
        raise UserError(
            f"{results} holds no curves and no errors; `python -m experiments.collect` reads them from outputs/."
        )
    for path in written:
        print(path)
    return 0


def write_figures(store: Store, name: str, conf: Path) -> list[Path]:
    """A pair of figures for each group of runs that differ in the table's rows and the seed alone; or one `along`."""
    node = table_spec(name, conf)
    spec = TableSpec.parse(name, node) if node else None
    key = spec.rows if spec else "loss"
    rows, curves = store.runs(name), _curves(store.curves(name))
    order = [*([spec.baseline] if spec else []), *grid_values(name, key, conf)]
    written = error_figures(store, name, spec, order) if spec else []
    labels = {row["metric"]: (row["label"], row["unit"], row["better"]) for row in rows}
    if spec and spec.along:
        panels, ticks = along_panels(spec, spec.along, rows, labels)
        abscissa = Abscissa(ALONG.get(spec.along, spec.along), ticks)
        if panels:
            written += draw(store.figures / f"{name}_along", panels, order, abscissa)
        table = compare(name, spec, store, grid_values(name, key, conf))
        return written + draw_gain(store.figures / f"{name}_gain", table, abscissa)
    for group, members in row_groups({row["run"]: row for row in rows}, key).items():
        suffix = "-" + file_name(re.sub(r"[^\w.=-]+", "_", group)) if group else ""
        lines = {value: list(seeds.values()) for value, seeds in members.items()}
        for kind, panels in (
            ("validation", validation_panels(lines, curves, labels, spec.metrics if spec else ())),
            ("training", training_panels(lines, curves)),
        ):
            if panels:
                stem = store.figures / f"{name}_{kind}{suffix}"
                written += draw(stem, panels, order)
    return written


def _remove_others(store: Store, name: str, drawn: Sequence[Path]) -> None:
    """Figures of groups of runs that are divided otherwise now."""
    for _, _, path in store.figures_of(name):
        if path not in drawn:
            path.unlink()


def error_figures(store: Store, name: str, spec: TableSpec, order: Sequence[str]) -> list[Path]:
    found = analyse(name, spec, store, order)
    if found is None:
        return []
    stem = store.figures / name
    return draw_errors(stem.with_name(f"{name}_errors"), found, order) + draw_calibration(
        stem.with_name(f"{name}_calibration"), found, order
    )


def along_panels(
    spec: TableSpec, along: str, rows: Sequence[Row], labels: Mapping[str, tuple[str, str, str]]
) -> tuple[list[Panel], list[float]]:
    """(a panel for each split and metric of the table, the values that the setting takes)."""
    points: dict[tuple[str, str], dict[str, dict[str, Curve]]] = {}  # split, metric → row → seed → curve
    ticks: set[float] = set()
    left_out: dict[str, str] = {}
    for row in rows:
        if row["value"] and row["split"] in spec.splits and row["metric"] in spec.metrics:
            at = setting_value(row_value(row, along))
            if at is None:
                left_out[row["run"]] = row_value(row, along)
                continue
            ticks.add(at)
            seeds = points.setdefault((row["split"], row["metric"]), {}).setdefault(
                row_value(row, spec.rows), {}
            )
            seeds.setdefault(row["seed"], []).append((at, _drawable(row["value"])))
    for run, value in left_out.items():
        said = terminal(f"left out of the figure: {run}, whose {along} is {value!r} and no number above 0")
        print(said, file=sys.stderr)
    panels = [
        Panel(
            _metric_title(metric, labels, split),
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
    labels: Mapping[str, tuple[str, str, str]],
    wanted: Sequence[str],
) -> list[Panel]:
    """The first few of the table's metrics that were validated; without a table, of all."""
    logged = {key.removeprefix("val/") for _, key in curves if key.startswith("val/")}
    metrics = [metric for metric in wanted if metric in logged] or sorted(logged)
    return [
        Panel(_metric_title(metric, labels), _lines(runs, curves, f"val/{metric}"))
        for metric in metrics[:VALIDATION_PANELS]
    ]


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


def _metric_title(metric: str, labels: Mapping[str, tuple[str, str, str]], split: str = "validation") -> str:
    label, unit, better = labels.get(metric, (metric, "", ""))
    arrow = {"higher": " ↑", "lower": " ↓"}.get(better, "")
    return f"{split}: {label}" + (f" [{unit}]" if unit not in ("", "share") else "") + arrow


def _lines(
    runs: Mapping[str, Sequence[str]], curves: Mapping[tuple[str, str], Curve], key: str
) -> dict[str, list[Curve]]:
    found = {
        value: [curves[run, key] for run in names if (run, key) in curves] for value, names in runs.items()
    }
    return {value: lines for value, lines in found.items() if lines}


def _curves(rows: Sequence[Row]) -> dict[tuple[str, str], Curve]:
    result: dict[tuple[str, str], Curve] = {}
    for row in rows:
        result.setdefault((row["run"], row["key"]), []).append((int(row["step"]), _drawable(row["value"])))
    return {name: sorted(curve) for name, curve in result.items()}


def _drawable(cell: str) -> float:
    """nan, a gap in the line, for what no axis can reach."""
    value = float(cell)
    return value if abs(value) < DRAWABLE else math.nan


if __name__ == "__main__":
    run_command(main)
