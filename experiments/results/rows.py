"""The rows of the files in results/: what each column holds, and which columns name a row."""

from math import isnan
from typing import Annotated, NamedTuple

from experiments.results.cells import (
    NUMBER,
    Count,
    Decimals,
    Direction,
    Flag,
    Name,
    Number,
    Sums,
    Text,
    Whole,
    cell,
    optional,
    rounded,
)
from experiments.results.csv_files import Form


class RunRow(NamedTuple):
    """runs.csv: the value of a metric on a split, and the run that it is of."""

    experiment: Name
    run: Name
    task: Text
    task_version: Count
    model: Text
    loss: Text
    seed: Whole
    split: Text
    metric: Text
    value: Number | None
    count: Count  # type: ignore[assignment]  # a column, not tuple's method
    """Items of the split."""
    steps: Count | None
    train_seconds: Number | None
    device: str
    threads: Count | None
    commit: str
    dirty: Flag | None
    """None outside a checkout."""
    config_hash: str
    data_hash: str
    torch: str
    transformers: str
    overrides: str
    """Words as they were typed, by spaces."""
    train_count: Count | None
    """Training examples."""
    parameters: Count | None


class MetricRow(NamedTuple):
    """metrics.csv: what a task's metric is called, and how it is read and shown."""

    task: Text
    metric: Text
    label: Text
    unit: str
    better: Direction
    decimals: Decimals
    ratio: Sums
    """Of sums of these scores; None: the mean of the metric's own."""

    @property
    def title(self) -> str:
        """Mean gap [min] ↓; a share needs no unit."""
        unit = f" [{self.unit}]" if self.unit not in ("", "share") else ""
        return f"{self.label}{unit} {'↑' if self.better == 'higher' else '↓'}"


class ScoreRow(NamedTuple):
    """scores/: a test item of a run; a further column for each of its scores."""

    run: Name
    split: Text
    item: str


class CurveRow(NamedTuple):
    """curves/: a logged value at a step."""

    run: Name
    step: Whole
    key: str
    value: Annotated[float, rounded(".7g")]


class ErrorRow(NamedTuple):
    """errors/: a count over a run's predictions (experiments.results.error_counts)."""

    run: Name
    split: str
    kind: str
    bin: str
    count: Count  # type: ignore[assignment]  # a column, not tuple's method
    right: Count | None = None
    confidence: Annotated[float, rounded(".4f")] | None = None


class GalleryRow(NamedTuple):
    """gallery/: a prediction that is shown (experiments.results.gallery)."""

    run: Name
    loss: str
    split: str
    kinds: str
    item: str
    query: str
    answer: str
    text: str
    error: Annotated[float, rounded(".6g")]
    picture: str
    """Its path in gallery/; '' for a task without pictures."""


def _kind_of_count(row: ErrorRow) -> str:
    """What a share is made from must be there."""
    if row.kind == "calibration" and not (row.bin in set("0123456789") and row.confidence is not None):
        return "a row of calibration needs a bin from 0 to 9 and its confidence"
    if row.kind in ("calibration", "place") and (row.right is None or not row.count):
        return f"a row of {row.kind} needs a count above 0 and how many of it are right"
    return ""


RUNS = Form(RunRow, ("experiment", "run", "split", "metric"))
METRICS = Form(MetricRow, ("task", "metric"))
SCORE = optional(NUMBER)._replace(write=lambda score: "" if score is None or isnan(score) else cell(score))
SCORES = Form(ScoreRow, ("run", "split", "item"), others=SCORE)
CURVES = Form(CurveRow, ("run", "step", "key"))
ERRORS = Form(ErrorRow, ("run", "split", "kind", "bin"), together=_kind_of_count)
GALLERY = Form(GalleryRow, ("run", "split", "item"))
