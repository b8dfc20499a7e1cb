"""The files in results/ that tables and figures are made from: plain CSV, sorted, the same bytes each time.

runs.csv                       long format: a row for each run, split and metric
scores/<experiment>.csv.gz     a row for each run, split and test item, a column for each metric
curves/<experiment>.csv        a row for each run, logged step and logged value
errors/<experiment>.csv        a row for each run, split, kind of count and bin (experiments.results.error_counts)
gallery/<experiment>.csv       a row for each picture of a prediction in gallery/<experiment>/ (experiments.results.gallery)
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from experiments.results import csv_files
from experiments.results.csv_files import (
    BETTER,
    COUNT,
    DIGITS,
    NAME,
    NUMBER,
    RATIO,
    TEXT,
    WHOLE,
    Form,
    Row,
    optional,
)

RUN_COLUMNS = (
    *(
        "experiment",
        "run",
        "task",
        "task_version",
        "model",
        "loss",
        "seed",
        "split",
        "metric",
        "value",
        "unit",
    ),
    *("better", "count", "steps", "train_seconds", "device", "threads", "commit", "dirty", "config_hash"),
    *(
        "data_hash",
        "torch",
        "transformers",
        "overrides",
        "label",
        "digits",
        "ratio",
        "train_count",
        "parameters",
    ),
)
SCORE_KEYS = ("run", "split", "item")
CURVE_COLUMNS = ("run", "step", "key", "value")
ERROR_COLUMNS = ("run", "split", "kind", "bin", "count", "right", "confidence")
GALLERY_COLUMNS = ("run", "loss", "split", "kinds", "item", "query", "answer", "text", "error", "picture")


def _kind_of_count(row: Row) -> str:
    """Of errors/: what a share is made from must be there."""
    if row["kind"] == "calibration" and not (row["bin"] in set("0123456789") and row["confidence"]):
        return "a row of calibration needs a bin from 0 to 9 and its confidence"
    if row["kind"] in ("calibration", "place") and not (row["right"] and int(row["count"])):
        return f"a row of {row['kind']} needs a count above 0 and how many of it are right"
    return ""


RUNS = Form(
    RUN_COLUMNS,
    {
        **dict.fromkeys(("experiment", "run"), NAME),
        **dict.fromkeys(("task", "model", "loss", "split", "metric"), TEXT),
        **dict.fromkeys(("steps", "train_count", "parameters"), optional(COUNT)),
        **dict.fromkeys(("value", "train_seconds"), optional(NUMBER)),
        **{"seed": WHOLE, "better": BETTER, "count": COUNT, "digits": DIGITS, "ratio": optional(RATIO)},
    },
)
SCORES = Form(SCORE_KEYS, {"run": NAME, "split": TEXT}, others=optional(NUMBER))
CURVES = Form(CURVE_COLUMNS, {"run": NAME, "step": WHOLE, "value": NUMBER})
ERRORS = Form(
    ERROR_COLUMNS,
    {"run": NAME, "count": COUNT, "right": optional(COUNT), "confidence": optional(NUMBER)},
    together=_kind_of_count,
)
GALLERY = Form(GALLERY_COLUMNS, {"run": NAME, "error": NUMBER})

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

    def runs(self, experiment: str | None = None) -> list[Row]:
        """Rows of runs.csv, of one experiment or of all; [] where the file does not exist."""
        rows = csv_files.read(self.runs_path, RUNS)
        return [row for row in rows if experiment in (None, row["experiment"])]

    def scores(self, experiment: str) -> list[Row]:
        return csv_files.read(self.scores_path(experiment), SCORES)

    def curves(self, experiment: str) -> list[Row]:
        return csv_files.read(self.curves_path(experiment), CURVES)

    def errors(self, experiment: str) -> list[Row]:
        return csv_files.read(self.errors_path(experiment), ERRORS)

    def gallery(self, experiment: str) -> list[Row]:
        return csv_files.read(self.gallery_path(experiment), GALLERY)

    def repair(self) -> Iterator[str]:
        """Repair what is damaged, keeping copies; says what was wrong with each file."""
        yield from csv_files.salvage(self.runs_path, RUNS)
        for folder, ending, form in (
            ("scores", "csv.gz", SCORES),
            ("curves", "csv.gz", CURVES),
            ("errors", "csv", ERRORS),
            ("gallery", "csv", GALLERY),
        ):
            for path in sorted((self.root / folder).glob(f"*.{ending}")):
                yield from csv_files.salvage(path, form)

    def experiments(self) -> list[str]:
        return sorted({row["experiment"] for row in self.runs()})

    def write_runs(self, rows: Iterable[Row]) -> None:
        csv_files.write(self.runs_path, RUN_COLUMNS, sorted(rows, key=_run_order))

    def write_scores(self, experiment: str, rows: Sequence[Row]) -> None:
        metrics = sorted({key for row in rows for key in row} - set(SCORE_KEYS))
        ordered = sorted(rows, key=lambda row: tuple(row[key] for key in SCORE_KEYS))
        csv_files.write(self.scores_path(experiment), (*SCORE_KEYS, *metrics), ordered)

    def write_curves(self, experiment: str, rows: Iterable[Row]) -> None:
        ordered = sorted(rows, key=lambda row: (row["run"], int(row["step"]), row["key"]))
        csv_files.write(self.curves_path(experiment), CURVE_COLUMNS, ordered)

    def write_errors(self, experiment: str, rows: Iterable[Row]) -> None:
        """Bins stay in the order they come in, which is that of their size or place."""
        ordered = sorted(rows, key=lambda row: (row["run"], row["split"], row["kind"]))
        csv_files.write(self.errors_path(experiment), ERROR_COLUMNS, ordered)

    def write_gallery(self, experiment: str, rows: Iterable[Row]) -> None:
        """The rows stay in order: a loss's worst predictions first."""
        csv_files.write(self.gallery_path(experiment), GALLERY_COLUMNS, rows)


def _run_order(row: Row) -> tuple[object, ...]:
    names = tuple(row[key] for key in ("experiment", "task", "model", "loss", "overrides"))
    return (*names, int(row["seed"]), row["run"], row["split"], row["metric"])
