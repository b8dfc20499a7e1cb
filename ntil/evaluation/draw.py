"""One picture of a split's predictions: the worst on the left, a random sample on the right."""

import math
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from ntil.data.dataset import picture_of
from ntil.data.example import Example
from ntil.data.shown import RANDOM, WORST, shown_places
from ntil.data.task import Task
from ntil.escape import visible
from ntil.io import atomic_open

COLUMNS, ROWS = 4, 4  # pictures in each half
LONGEST = 12  # letters of an answer above its picture
RIGHT, WRONG = "#00795a", "#b34700"


def draw_predictions(
    task: Task,
    data: Path,
    examples: Sequence[Example],
    rows: list[dict[str, Any]],
    path: Path,
    report: Callable[[str], None] = print,
) -> None:
    """Write a PNG with the worst and with random predictions, the task's drawing over each, or the question in words.

    What cannot be drawn is reported and left out: no picture is worth an evaluation.
    """
    try:
        _draw(task, data, examples, rows, path, report)
    except Exception as error:  # noqa: BLE001  (fonts, memory, a full disk)
        path.unlink(missing_ok=True)  # of earlier predictions
        report(f"warning: {path} could not be drawn: {type(error).__name__}: {error}")


def _draw(
    task: Task,
    data: Path,
    examples: Sequence[Example],
    rows: list[dict[str, Any]],
    path: Path,
    report: Callable[[str], None],
) -> None:
    half = COLUMNS * ROWS
    shown = shown_places([task.error(row["scores"]) for row in rows], half)
    with figure_of(path, 2 * COLUMNS * 1.45 + 0.4, ROWS * 1.75 + 0.5) as figure:
        halves = figure.subfigures(1, 2, wspace=0.04)
        for part, kind in zip(halves, (WORST, RANDOM), strict=True):
            part.suptitle(f"{kind}   (truth → answer)", fontsize=10)
            axes = list(part.subplots(math.ceil(half / COLUMNS), COLUMNS).flat)
            for axis in axes:
                axis.axis("off")
            for axis, i in zip(axes, shown[kind], strict=False):
                try:
                    _draw_one(axis, task, data, examples[i], rows[i])
                except Exception as error:  # noqa: BLE001  (a task's own drawing, of any picture and answer)
                    report(f"warning: {examples[i].id} could not be drawn: {type(error).__name__}: {error}")


@contextmanager
def figure_of(path: Path, width: float, height: float) -> Iterator[Any]:
    """An empty figure (inches), written to `path` as PNG when the block ends without an error."""
    figure = plt.figure(figsize=(width, height), layout="constrained")
    try:
        yield figure
        with warnings.catch_warnings(), atomic_open(path, "wb") as file:
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # it draws a box instead
            figure.savefig(file, format="png", dpi=110)
    finally:
        plt.close(figure)


def _title(truth: str, said: str, query: str | None) -> str:
    """Truth → answer; what is too long for a picture's width is left to the drawing, and the question named instead."""
    if len(truth) <= LONGEST:
        return f"{truth} → {_shortened(said, LONGEST) or '(nothing)'}"
    return _shortened(query or truth, 2 * LONGEST)


def _shortened(text: str, length: int) -> str:
    text = visible(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def _wrapped(text: str) -> str:
    """At most four lines of a picture's width."""
    return textwrap.fill(visible(text), 22, max_lines=4, placeholder=" …")


def _draw_one(axis: Any, task: Task, data: Path, example: Example, row: dict[str, Any]) -> None:
    picture = picture_of(example, data)
    if picture is not None:
        axis.imshow(
            task.draw(picture, task.read(row["text"], example, row.get("reading", "strict")), example)
        )
    else:
        axis.text(
            0.5, 0.5, _wrapped(example.query or ""), ha="center", va="center", fontsize=9, parse_math=False
        )
    axis.set_title(
        _title(row["answer"], row["text"], example.query),
        fontsize=8,
        pad=2,
        parse_math=False,  # an answer may hold dollar signs
        color=RIGHT if task.error(row["scores"]) == 0 else WRONG,
    )
