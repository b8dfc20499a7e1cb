"""From a run's folder to what its page shows: results by split, and a card for each prediction chosen.

The folder may come from anyone: its task is built from the project's own alone, types are checked, and a record whose
picture cannot be drawn has a card without one.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from rich.markup import escape
from rich.progress import track

from ntil.data.dataset import picture_of
from ntil.data.example import Example, read_examples
from ntil.data.shown import WORST, kinds_of, shown_places
from ntil.data.task import Task
from ntil.errors import UNEXPECTED, UserError
from ntil.escape import terminal
from ntil.io import read_json, read_jsonl
from ntil.runs import Run
from ntil.runs.stored import build_stored_task, read_stored_config, stored_data

SIDE = 288  # pixels of a picture on the page, at most
QUALITY = 85


@dataclass(frozen=True)
class Card:
    """One prediction."""

    id: str
    split: str
    kinds: tuple[str, ...]  # worst, best, random
    groups: dict[str, str]  # key of meta → value, for the filters
    query: str
    truth: str
    tokens: tuple[tuple[str, float | None], ...]  # text and probability
    scores: dict[str, float | None]
    error: float
    picture: str | None  # data: URI


@dataclass(frozen=True)
class SplitResults:
    """Of metrics.json; `count` as it stands there. Numbers are None where there is none, and may be nan."""

    count: Any
    metrics: dict[str, float | None]
    intervals: dict[str, tuple[float | None, float | None]]
    baselines: dict[str, dict[str, float | None]]  # constant, random, … → metrics


@dataclass(frozen=True)
class View:
    title: str
    task: Task
    results: dict[str, SplitResults]
    cards: tuple[Card, ...]
    skipped: tuple[str, ...] = field(default=())  # pictures that could not be drawn, and why


def read_view(folder: Path, count: int, data: Path | None = None) -> View:
    """UserError where the run or its data set is not there, or no longer the same."""
    run = Run.load(folder)
    for name in ("metrics.json", "predictions.jsonl"):
        if not (folder / name).exists():
            raise UserError(f"{folder} has no {name}: the run has not been evaluated yet.")
    task = build_stored_task(read_stored_config(run.config_path), run.config_path)
    root = stored_data(folder, moved_to=data)
    rows: dict[str, list[dict[str, Any]]] = {}
    with _checked(folder / "predictions.jsonl"):
        for row in read_jsonl(folder / "predictions.jsonl"):
            checked = _row(row)
            rows.setdefault(checked["split"], []).append(checked)
    with _checked(folder / "metrics.json"):
        results = {
            split: _results(node) for split, node in read_json(folder / "metrics.json")["splits"].items()
        }
    cards: list[Card] = []
    skipped: list[str] = []
    for split, members in rows.items():
        examples = {example.id: example for example in read_examples(root, split)}
        if unknown := next((row["id"] for row in members if row["id"] not in examples), None):
            raise UserError(
                f"{root} has no record {unknown!r} of {split}; the run was evaluated on other data."
            )
        with _checked(folder / "predictions.jsonl"):
            errors = [float(task.error(row["scores"])) for row in members]
        for place, kinds in track(
            choose(errors, count).items(), description=f"drawing {escape(terminal(split))}"
        ):
            row, example = members[place], examples[members[place]["id"]]
            try:
                picture = _picture(task, root, example, row)
            except (UserError, OSError, *UNEXPECTED) as error:
                picture = None
                skipped.append(f"{row['id']}: {' '.join(str(error).split())}")
            cards.append(_card(task, example, row, kinds, errors[place], picture))
    return View(folder.name, task, results, tuple(cards), tuple(skipped))


@contextmanager
def _checked(path: Path) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise UserError(f"{path} lacks the key {error}.") from None
    except UNEXPECTED as error:
        raise UserError(f"{path} has an unexpected form: {' '.join(str(error).split())}.") from None


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A line of predictions.jsonl with the types that a card needs."""
    texts = {key: _text(row[key], key) for key in ("split", "text", "answer")}
    tokens = [_text(token, "a token") for token in row["tokens"]]
    probabilities = [_share(value) for value in row["probabilities"]]
    return {
        **texts,
        "id": str(row["id"]),
        "tokens": tuple(zip(tokens, probabilities, strict=True)),
        "scores": {str(name): _number(value, name) for name, value in row["scores"].items()},
        "meta": {str(key): str(value) for key, value in row["meta"].items()},
    }


def _results(node: Mapping[str, Any]) -> SplitResults:
    return SplitResults(
        node["count"],
        _numbers(node["metrics"]),
        {
            name: (_number(low, name), _number(high, name))
            for name, bounds in (node.get("intervals") or {}).items()
            if bounds is not None
            for low, high in [bounds]
        },
        {kind: _numbers(metrics) for kind, metrics in (node.get("baselines") or {}).items()},
    )


def _numbers(node: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: _number(value, name) for name, value in node.items()}


def _number(value: Any, name: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {str(value)[:60]!r} and no number")
    return float(value)


def _share(value: Any) -> float | None:
    share = _number(value, "a probability")
    if share is not None and not 0 <= share <= 1.000001:
        raise ValueError(f"a probability is {share}")
    return share


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is {str(value)[:60]!r} and no text")
    return value


def choose(errors: Sequence[float], count: int) -> dict[int, tuple[str, ...]]:
    """Place → why it is shown; the worst first. Equals stay in their order."""
    shown = shown_places(errors, count)
    worst_first = shown_places(errors, len(errors))[WORST]
    return {place: kinds for place in worst_first if (kinds := kinds_of(place, shown))}


def _picture(task: Task, root: Path, example: Example, row: dict[str, Any]) -> str | None:
    image = picture_of(example, root)
    parsed = task.read(row["text"], example, row.get("reading", "strict"))
    return None if image is None else _uri(task.draw(image, parsed, example))


def _card(
    task: Task,
    example: Example,
    row: dict[str, Any],
    kinds: tuple[str, ...],
    error: float,
    picture: str | None,
) -> Card:
    return Card(
        id=row["id"],
        split=row["split"],
        kinds=kinds,
        groups={key: row["meta"][key] for key in task.groups if key in row["meta"]},
        query=example.query or "",
        truth=row["answer"],
        tokens=row["tokens"],
        scores=row["scores"],
        error=error,
        picture=picture,
    )


def _uri(image: Image.Image) -> str:
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
