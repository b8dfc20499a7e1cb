"""The files in results/ that tables and figures are made from: plain CSV, sorted, the same bytes each time.

runs.csv                       long format: a row for each run, split and metric
metrics.csv                    what holds of a task's metric in all of its runs: label, unit, direction, decimals
scores/<experiment>.csv.gz     a row for each run, split and test item, a column for each metric
curves/<experiment>.csv.gz     a row for each run, logged step and logged value
errors/<experiment>.csv        a row for each run, split, kind of count and bin (experiments.results.error_counts)
gallery/<experiment>.csv       a row for each picture of a prediction in gallery/<experiment>/ (experiments.results.gallery)
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from experiments.results import csv_files
from experiments.results.rows import (
    CURVES,
    ERRORS,
    GALLERY,
    METRICS,
    RUNS,
    SCORES,
    CurveRow,
    ErrorRow,
    GalleryRow,
    MetricRow,
    RunRow,
)
from ntil.errors import UserError

# Kind of figure (what its file name ends in) → what it shows, in the order to read them.
OVERVIEW_CAPTION = (
    "Difference of EMD and NTIL to CE in each setting, with 95 % intervals; arrows where they go on"
)
FIGURE_KINDS = {
    "along": "Metrics over the swept setting",
    "gain": "Differences to the baseline over the swept setting, with 95 % intervals; hollow with one seed, where they cover the test items alone",
    "validation": "Validation while training; a thin line for each seed",
    "training": "Parts of the training loss",
    "errors": "How far off the answers are, and the share of wrong digits by place where it is known; a dot for each seed",
    "calibration": "Calibration of written digits; larger points hold more digits, hollow ones fewer than 20",
}


class Store:
    """A results folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @property
    def runs_path(self) -> Path:
        return self.root / "runs.csv"

    @property
    def metrics_path(self) -> Path:
        return self.root / "metrics.csv"

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    def figures_of(self, experiment: str) -> list[tuple[str, str, Path]]:
        """(kind, group of runs or "", file) of the figures that are there, kind by kind and group by group."""
        pattern = re.compile(rf"{re.escape(experiment)}_({'|'.join(FIGURE_KINDS)})(?:-(.*))?")
        paths = sorted(self.figures.glob("*")) if self.figures.is_dir() else []
        found = [
            (match[1], match[2] or "", path) for path in paths if (match := pattern.fullmatch(path.stem))
        ]
        return sorted(found, key=lambda figure: [*FIGURE_KINDS].index(figure[0]))

    @property
    def overview_figure(self) -> Path:
        """Without its ending."""
        return self.figures / "overview"

    def scores_path(self, experiment: str) -> Path:
        return self.root / "scores" / f"{experiment}.csv.gz"

    def curves_path(self, experiment: str) -> Path:
        return self.root / "curves" / f"{experiment}.csv.gz"

    def errors_path(self, experiment: str) -> Path:
        return self.root / "errors" / f"{experiment}.csv"

    def gallery_path(self, experiment: str) -> Path:
        return self.root / "gallery" / f"{experiment}.csv"

    def runs(self, experiment: str | None = None) -> list[RunRow]:
        """Rows of runs.csv, of one experiment or of all; [] where the file does not exist."""
        rows = csv_files.read(self.runs_path, RUNS)
        return [row for row in rows if experiment in (None, row.experiment)]

    def metrics(self, rows: Iterable[RunRow]) -> list[MetricRow]:
        """What metrics.csv says of the metrics that rows of runs.csv hold, in their order."""
        known = {(row.task, row.metric): row for row in csv_files.read(self.metrics_path, METRICS)}
        named = dict.fromkeys((row.task, row.metric) for row in rows)
        if unknown := [name for name in named if name not in known]:
            task, metric = unknown[0]
            raise UserError(
                f"{self.metrics_path} {'says nothing of' if known else 'is missing; it describes'} the metric {metric!r} of "
                f"the task {task!r}, which {self.runs_path} holds. Restore the file that was written with runs.csv, or "
                "write both anew with `python -m experiments.collect` from the runs in outputs/."
            )
        return [known[name] for name in named]

    def scores(self, experiment: str) -> pd.DataFrame:
        """Columns run, split, item, and a float for each metric, nan for none."""
        return csv_files.read_frame(self.scores_path(experiment), SCORES)

    def curves(self, experiment: str) -> list[CurveRow]:
        return csv_files.read(self.curves_path(experiment), CURVES)

    def errors(self, experiment: str) -> list[ErrorRow]:
        return csv_files.read(self.errors_path(experiment), ERRORS)

    def gallery(self, experiment: str) -> list[GalleryRow]:
        return csv_files.read(self.gallery_path(experiment), GALLERY)

    def repair(self) -> Iterator[str]:
        """Repair what is damaged, keeping copies; says what was wrong with each file."""
        for pattern, form in (
            ("runs.csv", RUNS),
            ("metrics.csv", METRICS),
            ("scores/*.csv.gz", SCORES),
            ("curves/*.csv.gz", CURVES),
            ("errors/*.csv", ERRORS),
            ("gallery/*.csv", GALLERY),
        ):
            for path in sorted(self.root.glob(pattern)):
                yield from csv_files.salvage(path, form)

    def experiments(self) -> list[str]:
        return sorted({row.experiment for row in self.runs()})

    def write_runs(self, rows: Iterable[RunRow], metrics: Iterable[MetricRow]) -> None:
        """runs.csv last, since it says what there is."""
        csv_files.write(self.metrics_path, METRICS, sorted(metrics))
        ordered = sorted(rows, key=_run_order)
        csv_files.write(self.runs_path, RUNS, ordered)

    def write_scores(self, experiment: str, scores: pd.DataFrame) -> None:
        keys = [*SCORES.key]
        ordered = scores[keys + sorted(str(name) for name in scores if name not in keys)].sort_values(keys)
        rows = ordered.itertuples(index=False, name=None)
        csv_files.write(self.scores_path(experiment), SCORES, rows, [*ordered])

    def write_curves(self, experiment: str, rows: Iterable[CurveRow]) -> None:
        ordered = sorted(rows, key=lambda row: (row.run, row.step, row.key))
        csv_files.write(self.curves_path(experiment), CURVES, ordered)

    def write_errors(self, experiment: str, rows: Iterable[ErrorRow]) -> None:
        """Bins stay in the order they come in, which is that of their size or place."""
        ordered = sorted(rows, key=lambda row: (row.run, row.split, row.kind))
        csv_files.write(self.errors_path(experiment), ERRORS, ordered)

    def write_gallery(self, experiment: str, rows: Iterable[GalleryRow]) -> None:
        """The rows stay in order: a loss's worst predictions first."""
        csv_files.write(self.gallery_path(experiment), GALLERY, rows)


def _run_order(row: RunRow) -> tuple[object, ...]:
    names = (row.experiment, row.task, row.model, row.loss, row.overrides)
    return (*names, row.seed, row.run, row.split, row.metric)
