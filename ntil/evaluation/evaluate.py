"""generate → predictions.jsonl → score → metrics: the same for every task and at any time."""

import time
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig
from rich.progress import track
from transformers import PreTrainedModel

from ntil.data.dataset import open_image
from ntil.data.example import Example, read_examples, read_manifest
from ntil.data.task import Task, aggregate
from ntil.errors import UserError, did_you_mean
from ntil.evaluation.draw import draw_predictions
from ntil.evaluation.generate import Question, batches, generate
from ntil.evaluation.settings import EvaluationSettings
from ntil.io import inside, read_json, write_jsonl
from ntil.models.adapters import Adapter
from ntil.settings import load_settings


class Scored(NamedTuple):
    """Predictions (the rows of predictions.jsonl) and their metrics."""

    rows: list[dict[str, Any]]
    metrics: dict[str, float | None]


def score_examples(
    model: PreTrainedModel,
    adapter: Adapter,
    task: Task,
    data: Path,
    examples: list[Example],
    batch_size: int,
    progress: str | None = None,
) -> Scored:
    """Generate, parse and score; `progress` names the bar that a long evaluation shows."""
    rows: list[dict[str, Any]] = []
    spans = list(batches(len(examples), batch_size))
    for span in track(spans, description=progress) if progress else spans:
        chunk = [examples[i] for i in span]
        questions = [
            Question(task.prompt(e), open_image(inside(data, e.image)) if e.image is not None else None)
            for e in chunk
        ]
        for example, said in zip(
            chunk, generate(model, adapter, questions, task.max_new_tokens), strict=True
        ):
            parsed = task.parse(said.text)
            rows.append(
                {
                    "split": example.split,
                    "id": example.id,
                    "text": said.text,
                    "answer": task.answer(example),
                    "parsed": None if parsed is None else str(parsed),
                    "scores": task.score(parsed, example),
                    "tokens": said.tokens,
                    "probabilities": [
                        p if isfinite(p) else None for p in said.probabilities
                    ],  # of a diverged model
                    "meta": example.meta,
                }
            )
    return Scored(rows, aggregate([row["scores"] for row in rows], list(task.metrics)))


def evaluate(
    model: PreTrainedModel,
    adapter: Adapter,
    task: Task,
    data: Path,
    cfg: DictConfig,
    folder: Path,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Score the splits that `cfg` (conf/evaluation) names.

    Writes predictions.jsonl and pictures into `folder`; returns what metrics.json holds.
    """
    start = time.perf_counter()
    settings = load_settings(EvaluationSettings, cfg, "evaluation")
    counts = read_manifest(data)["counts"]
    for split in settings.splits:
        if split not in counts:
            raise UserError(
                f"{data} has no split {split!r}.{did_you_mean(split, counts)} It has {', '.join(counts)}."
            )
    wanted = [
        *settings.splits,
        *(s for s in settings.optional_splits if s in counts and s not in settings.splits),
    ]
    rows: list[dict[str, Any]] = []
    splits: dict[str, Any] = {}
    for split in wanted:
        examples = read_examples(data, split, settings.limit)
        scored = score_examples(
            model, adapter, task, data, examples, settings.batch_size, progress=f"evaluating {split}"
        )
        rows += scored.rows
        splits[split] = {"count": len(examples), "metrics": scored.metrics}
        report(f"{split} ({len(examples)}): {summary(task, scored.metrics)}")
        if settings.pictures:
            draw_predictions(task, data, examples, scored.rows, folder / f"predictions_{split}.png")
    write_jsonl(folder / "predictions.jsonl", rows)
    timing = {"evaluate_seconds": time.perf_counter() - start}
    if (folder / "timing.json").exists():
        timing |= read_json(folder / "timing.json")
    return {
        "schema": 1,
        "task": task.name,
        "task_version": task.version,
        "parameters": model.num_parameters(),
        "metrics": {name: metric.to_dict() for name, metric in task.metrics.items()},
        "splits": splits,
        "timing": timing,
    }


def summary(task: Task, metrics: dict[str, float | None]) -> str:
    """One line: "exact 0.871, ±1 min 0.935, …"."""

    def shown(name: str) -> str:
        value = metrics[name]
        return "–" if value is None else format(value, f".{task.metrics[name].digits}f")

    return ", ".join(f"{metric.label} {shown(name)}" for name, metric in task.metrics.items())
