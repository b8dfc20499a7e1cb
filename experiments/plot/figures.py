"""The figures of an experiment: which it has, and what they are called."""

import re
from collections.abc import Sequence
from pathlib import Path

from experiments.compare.comparison import compare
from experiments.compare.errors import analyse
from experiments.compare.groups import row_groups
from experiments.compare.spec import TableSpec
from experiments.plot.curves import draw
from experiments.plot.errors import draw_calibration, draw_errors
from experiments.plot.intervals import draw_gain
from experiments.plot.panels import along_panels, curves_of, training_panels, validation_panels
from experiments.plot.style import Abscissa
from experiments.results.store import Store
from experiments.run.presets import grid_values, table_spec
from ntil.checkout import CONF
from ntil.errors import UserError, did_you_mean
from ntil.io import file_name

ALONG = {"trainer.train_examples": "training examples", "trainer.max_steps": "training steps"}  # axis titles


def plots(results: Path, names: Sequence[str], conf: Path = CONF) -> int:
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
    rows, curves = store.runs(name), curves_of(store.curves(name))
    order = [*([spec.baseline] if spec else []), *grid_values(name, key, conf)]
    written = error_figures(store, name, spec, order) if spec else []
    metrics = {row.metric: row for row in store.metrics(rows)}
    if spec and spec.along:
        panels, ticks = along_panels(spec, spec.along, rows, metrics)
        abscissa = Abscissa(ALONG.get(spec.along, spec.along), ticks)
        if panels:
            written += draw(store.figures / f"{name}_along", panels, order, abscissa)
        table = compare(name, spec, store, grid_values(name, key, conf))
        return written + draw_gain(store.figures / f"{name}_gain", table, abscissa)
    for group, members in row_groups({row.run: row for row in rows}, key).items():
        suffix = "-" + file_name(re.sub(r"[^\w.=-]+", "_", group)) if group else ""
        lines = {value: list(seeds.values()) for value, seeds in members.items()}
        for kind, panels in (
            ("validation", validation_panels(lines, curves, metrics, spec.metrics if spec else ())),
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
