"""The files in results/ that tables and figures are made from: plain CSV, sorted, the same bytes each time.

runs.csv                       long format: a row for each run, split and metric
scores/<experiment>.csv.gz     a row for each run, split and test item, a column for each metric
curves/<experiment>.csv        a row for each run, logged step and logged value
errors/<experiment>.csv        a row for each run, split, kind of count and bin (experiments.errors.counts)
gallery/<experiment>.csv       a row for each picture of a prediction in gallery/<experiment>/ (experiments.gallery)
"""

import csv
import gzip
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ntil.errors import UserError
from ntil.io import atomic_open

Row = dict[str, str]

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
        """Without its ending, of which there are two."""
        return self.figures / "overview"

    def scores_path(self, experiment: str) -> Path:
        return self.root / "scores" / f"{experiment}.csv.gz"

    def curves_path(self, experiment: str) -> Path:
        return self.root / "curves" / f"{experiment}.csv"

    def errors_path(self, experiment: str) -> Path:
        return self.root / "errors" / f"{experiment}.csv"

    def gallery_path(self, experiment: str) -> Path:
        return self.root / "gallery" / f"{experiment}.csv"

    def runs(self, experiment: str | None = None) -> list[Row]:
        """Rows of runs.csv, of one experiment or of all; [] where the file does not exist."""
        rows = _read(self.runs_path, required=RUN_COLUMNS)
        return [row for row in rows if experiment in (None, row["experiment"])]

    def scores(self, experiment: str) -> list[Row]:
        return _read(self.scores_path(experiment), required=SCORE_KEYS)

    def curves(self, experiment: str) -> list[Row]:
        return _read(self.curves_path(experiment), required=CURVE_COLUMNS)

    def errors(self, experiment: str) -> list[Row]:
        return _read(self.errors_path(experiment), required=ERROR_COLUMNS)

    def gallery(self, experiment: str) -> list[Row]:
        return _read(self.gallery_path(experiment), required=GALLERY_COLUMNS)

    def experiments(self) -> list[str]:
        return sorted({row["experiment"] for row in self.runs()})

    def write_runs(self, rows: Iterable[Row]) -> None:
        _write(self.runs_path, RUN_COLUMNS, sorted(rows, key=_run_order))

    def write_scores(self, experiment: str, rows: Sequence[Row]) -> None:
        metrics = sorted({key for row in rows for key in row} - set(SCORE_KEYS))
        ordered = sorted(rows, key=lambda row: tuple(row[key] for key in SCORE_KEYS))
        _write(self.scores_path(experiment), (*SCORE_KEYS, *metrics), ordered)

    def write_curves(self, experiment: str, rows: Iterable[Row]) -> None:
        ordered = sorted(rows, key=lambda row: (row["run"], int(row["step"]), row["key"]))
        _write(self.curves_path(experiment), CURVE_COLUMNS, ordered)

    def write_errors(self, experiment: str, rows: Iterable[Row]) -> None:
        """Bins stay in the order they come in, which is that of their size or place."""
        ordered = sorted(rows, key=lambda row: (row["run"], row["split"], row["kind"]))
        _write(self.errors_path(experiment), ERROR_COLUMNS, ordered)

    def write_gallery(self, experiment: str, rows: Iterable[Row]) -> None:
        """The rows stay in order: a loss's worst predictions first."""
        _write(self.gallery_path(experiment), GALLERY_COLUMNS, rows)


def _run_order(row: Row) -> tuple[object, ...]:
    names = tuple(row[key] for key in ("experiment", "task", "model", "loss", "overrides"))
    return (*names, int(row["seed"]), row["run"], row["split"], row["metric"])


def _read(path: Path, required: Sequence[str]) -> list[Row]:
    if not path.exists():
        return []
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}. Delete it and collect again.") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if missing := [column for column in required if column not in (reader.fieldnames or [])]:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}. Delete it and collect again.")
    rows = list(reader)
    if any(None in row or None in row.values() for row in rows):
        raise UserError(f"{path} has a line with too few or too many cells. Delete it and collect again.")
    return rows


def _write(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    data = text.getvalue().encode()
    with atomic_open(path, "wb") as file:
        file.write(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
