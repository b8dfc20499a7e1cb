"""generate → predictions.jsonl → score → metrics: the same for every task and at any time."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig
from rich.progress import track
from transformers import PreTrainedModel

from ntil.data.dataset import open_image
from ntil.data.example import Example, read_examples, read_manifest
from ntil.data.task import Task, aggregate
from ntil.errors import UserError
from ntil.evaluation.draw import draw_predictions
from ntil.evaluation.generate import Question, batches, generate
from ntil.io import inside, read_json, write_jsonl
from ntil.models.adapters import Adapter
from ntil.runs import Run


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
    rows = []
    spans = list(batches(len(examples), batch_size))
    for span in track(spans, description=progress) if progress else spans:
        chunk = [examples[i] for i in span]
        questions = [
            Question(task.prompt(e), open_image(inside(data, e.image)) if e.image is not None else None) for e in chunk
        ]
        for example, said in zip(chunk, generate(model, adapter, questions, task.max_new_tokens), strict=True):
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
                    "probabilities": said.probabilities,
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
    run: Run,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Score the splits that `cfg` (conf/evaluation) names; writes predictions.jsonl and the pictures, returns metrics.

    A split that the data set does not have is left out if it is optional (heldout_faces, say), an error if it is test.
    """
    start = time.perf_counter()
    counts = read_manifest(data)["counts"]
    if "test" in cfg.splits and "test" not in counts:
        raise UserError(f"{data} has no test split; it has {', '.join(counts)}.")
    rows: list[dict[str, Any]] = []
    splits: dict[str, Any] = {}
    for split in (name for name in cfg.splits if name in counts):
        examples = read_examples(data, split, cfg.limit)
        scored = score_examples(model, adapter, task, data, examples, cfg.batch_size, progress=f"evaluating {split}")
        rows += scored.rows
        splits[split] = {"count": len(examples), "metrics": scored.metrics}
        report(f"{split} ({len(examples)}): {summary(task, scored.metrics)}")
        if cfg.pictures:
            draw_predictions(task, data, examples, scored.rows, run.folder / f"predictions_{split}.png")
    write_jsonl(run.folder / "predictions.jsonl", rows)
    timing = {"evaluate_seconds": time.perf_counter() - start}
    if (run.folder / "timing.json").exists():
        timing |= read_json(run.folder / "timing.json")
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
    return ", ".join(
        f"{metric.label} {'–' if metrics[name] is None else format(metrics[name], f'.{metric.digits}f')}"
        for name, metric in task.metrics.items()
    )
