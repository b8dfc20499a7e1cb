"""generate → predictions.jsonl → score → metrics: the same for every task and at any time."""

import time
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig
from rich.progress import track
from transformers import PreTrainedModel

from ntil.data.dataset import picture_of
from ntil.data.example import Example, read_examples, read_manifest
from ntil.data.task import Item, Task, aggregate
from ntil.errors import UserError, did_you_mean
from ntil.evaluation.baselines import baselines
from ntil.evaluation.draw import draw_predictions
from ntil.evaluation.generate import Question, batches, generate
from ntil.evaluation.intervals import intervals
from ntil.evaluation.settings import EvaluationSettings
from ntil.io import read_json, write_jsonl
from ntil.models.adapters import Adapter
from ntil.settings import load_settings


class Scored(NamedTuple):
    """Predictions (the rows of predictions.jsonl), the same as items, and their metrics."""

    rows: list[dict[str, Any]]
    items: list[Item]
    metrics: dict[str, float | None]


def score_examples(
    model: PreTrainedModel,
    adapter: Adapter,
    task: Task,
    data: Path,
    examples: list[Example],
    batch_size: int,
    progress: str | None = None,
    constrained: bool = False,
) -> Scored:
    """Generate, parse and score; `progress` names the bar that a long evaluation shows.

    constrained: hold decoding to the task's answer format.
    """
    if constrained and task.answer_pattern is None:
        raise UserError(f"evaluation.constrained needs an answer_pattern, and task={task.name} has none.")
    pattern = task.answer_pattern if constrained else None
    rows: list[dict[str, Any]] = []
    items: list[Item] = []
    spans = list(batches(len(examples), batch_size))
    for span in track(spans, description=progress) if progress else spans:
        chunk = [examples[i] for i in span]
        questions = [Question(task.prompt(example), picture_of(example, data)) for example in chunk]
        for example, said in zip(
            chunk, generate(model, adapter, questions, task.max_new_tokens, pattern), strict=True
        ):
            parsed = task.parse(said.text)
            item = Item(example, parsed, task.score(parsed, example))
            items.append(item)
            rows.append(
                {
                    "split": example.split,
                    "id": example.id,
                    "text": said.text,
                    "answer": task.answer(example),
                    "parsed": None if parsed is None else str(parsed),
                    "scores": item.scores,
                    "tokens": said.tokens,
                    "probabilities": [
                        p if isfinite(p) else None for p in said.probabilities
                    ],  # of a diverged model
                    "meta": example.meta,
                }
            )
    return Scored(rows, items, aggregate(task, items))


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

    Writes predictions.jsonl and pictures into `folder`; returns what metrics.json holds: for each split its metrics with
    bootstrap intervals, the same by group, and what a constant and a random answer would have scored.
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
    train = read_examples(data, "train") if "train" in counts else []
    rows: list[dict[str, Any]] = []
    splits: dict[str, Any] = {}
    for split in wanted:
        examples = read_examples(data, split, settings.limit)
        scored = score_examples(
            model,
            adapter,
            task,
            data,
            examples,
            settings.batch_size,
            progress=f"evaluating {split}",
            constrained=settings.constrained,
        )
        rows += scored.rows
        splits[split] = {
            "count": len(examples),
            "metrics": scored.metrics,
            "intervals": intervals(task, scored.items),
            "groups": by_group(task, scored.items),
            "baselines": baselines(task, train, examples) if train else {},
        }
        report(f"{split} ({len(examples)}): {summary(task, scored.metrics)}")
        for name, metrics in splits[split]["baselines"].items():
            report(f"  a {name} answer: {summary(task, metrics)}")
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


def by_group(task: Task, items: list[Item]) -> dict[str, dict[str, Any]]:
    """Key of `meta` → its value → count and metrics of the items that have it."""
    result: dict[str, dict[str, Any]] = {}
    for key in task.groups:
        members: dict[str, list[Item]] = {}
        for item in items:
            if key in item.example.meta:
                members.setdefault(str(item.example.meta[key]), []).append(item)
        result[key] = {
            value: {"count": len(group), "metrics": aggregate(task, group)}
            for value, group in sorted(members.items())
        }
    return result


def summary(task: Task, metrics: dict[str, float | None]) -> str:
    """One line: "exact 0.871, ±1 min 0.935, …"."""

    def shown(name: str) -> str:
        value = metrics[name]
        return "–" if value is None else format(value, f".{task.metrics[name].digits}f")

    return ", ".join(f"{metric.label} {shown(name)}" for name, metric in task.metrics.items())
