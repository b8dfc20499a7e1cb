"""From a run's folder to what its page shows: results by split, and a card for each prediction chosen."""

import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from PIL import Image
from rich.progress import track

from ntil.data.dataset import picture_of
from ntil.data.example import Example, read_examples
from ntil.data.task import Task
from ntil.errors import UserError
from ntil.io import read_json, read_jsonl
from ntil.runs import Run

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
class View:
    title: str
    task: Task
    results: dict[str, Any]  # metrics.json
    cards: tuple[Card, ...]


def read_view(folder: Path, count: int, data: Path | None = None) -> View:
    """UserError where the run or its data set is not there, or no longer the same."""
    run = Run.load(folder)
    for name in ("metrics.json", "predictions.jsonl"):
        if not (folder / name).exists():
            raise UserError(f"{folder} has no {name}: the run has not been evaluated yet.")
    root = data or Path(read_json(folder / "provenance.json")["data"]["folder"])
    task: Task = instantiate(run.config.task)
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in read_jsonl(folder / "predictions.jsonl"):
        rows.setdefault(row["split"], []).append(row)
    cards: list[Card] = []
    for split, members in rows.items():
        examples = {example.id: example for example in read_examples(root, split)}
        if unknown := next((row["id"] for row in members if row["id"] not in examples), None):
            raise UserError(
                f"{root} has no record {unknown!r} of {split}; the run was evaluated on other data."
            )
        chosen = choose([task.error(row["scores"]) for row in members], count)
        for place, kinds in track(chosen.items(), description=f"drawing {split}"):
            row = members[place]
            cards.append(_card(task, root, examples[row["id"]], row, kinds))
    return View(folder.name, task, read_json(folder / "metrics.json"), tuple(cards))


def choose(errors: Sequence[float], count: int) -> dict[int, tuple[str, ...]]:
    """Place → why it is shown; the worst first. Equals stay in their order."""
    order = sorted(range(len(errors)), key=lambda place: -errors[place])
    best = sorted(range(len(errors)), key=lambda place: errors[place])[:count]
    drawn = random.Random(0).sample(range(len(errors)), min(count, len(errors)))
    sets = {"worst": set(order[:count]), "best": set(best), "random": set(drawn)}
    return {
        place: kinds
        for place in order
        if (kinds := tuple(kind for kind, members in sets.items() if place in members))
    }


def _card(task: Task, root: Path, example: Example, row: dict[str, Any], kinds: tuple[str, ...]) -> Card:
    image = picture_of(example, root)
    picture = None if image is None else _uri(task.draw(image, task.parse(row["text"]), example))
    tokens = tuple(zip(row["tokens"], row["probabilities"], strict=True))
    return Card(
        id=row["id"],
        split=row["split"],
        kinds=kinds,
        groups={key: str(row["meta"][key]) for key in task.groups if key in row["meta"]},
        query=example.query or "",
        truth=row["answer"],
        tokens=tokens,
        scores=row["scores"],
        error=task.error(row["scores"]),
        picture=picture,
    )


def _uri(image: Image.Image) -> str:
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
