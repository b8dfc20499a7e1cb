"""generate → predictions.jsonl → score → metrics: the same for every task and at any time."""

import time
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import regex
import torch
from omegaconf import DictConfig
from rich.progress import track
from transformers import PreTrainedModel

from ntil.data.contract import check_contract
from ntil.data.dataset import PictureError, picture_of
from ntil.data.example import Example, read_examples, read_manifest
from ntil.data.replaced import replaced_records
from ntil.data.task import Item, Task, aggregate
from ntil.errors import SpellingError, UserError
from ntil.evaluation.baselines import baselines, ceiling
from ntil.evaluation.draw import draw_predictions
from ntil.evaluation.generate import Generated, Question, batches, generate
from ntil.evaluation.intervals import intervals
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.splits import splits_to_score
from ntil.io import file_name, read_json, write_jsonl
from ntil.models.adapters import Adapter
from ntil.nonfinite import finite
from ntil.settings import load_settings

LONGEST_TIME = 1e12  # seconds


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
    reading: str = "strict",
) -> Scored:
    """Generate, parse and score; `progress` names the bar that a long evaluation shows.

    constrained: hold decoding to the task's answer format. reading: one of READINGS, by which answers are parsed.
    """
    pattern = pattern_to_hold(task, constrained)
    rows: list[dict[str, Any]] = []
    items: list[Item] = []
    spans = list(batches(len(examples), batch_size))
    for span in track(spans, description=progress) if progress else spans:
        chunk = [examples[i] for i in span]
        questions = [_question(adapter, task, data, example) for example in chunk]
        asked = [question for question in questions if isinstance(question, Question)]
        said = iter(generate(model, adapter, asked, task.max_new_tokens, pattern) if asked else [])
        for example, question in zip(chunk, questions, strict=True):
            answer = next(said) if isinstance(question, Question) else Generated("", [], [])
            parsed = task.read(answer.text, example, reading) if isinstance(question, Question) else None
            item = Item(example, parsed, task.score(parsed, example))
            items.append(item)
            rows.append(
                {
                    "split": example.split,
                    "id": example.id,
                    "text": answer.text,
                    "answer": task.answer(example),
                    "parsed": None if parsed is None else str(parsed),
                    "reading": reading,
                    "scores": item.scores,
                    "tokens": answer.tokens,
                    "probabilities": [
                        p if isfinite(p) else None for p in answer.probabilities
                    ],  # of a diverged model
                    "meta": example.meta,
                    **({} if isinstance(question, Question) else {"unanswered": question}),
                }
            )
    return Scored(rows, items, aggregate(task, items))


def pattern_to_hold(task: Task, constrained: bool) -> str | None:
    """The answer format that decoding is held to, None where it is not; UserError where the task has none."""
    if constrained and task.answer_pattern is None:
        raise UserError(f"evaluation.constrained needs an answer_pattern, and task={task.name} has none.")
    return task.answer_pattern if constrained else None


def _question(adapter: Adapter, task: Task, data: Path, example: Example) -> Question | str:
    """What is put to the model, or why it cannot be asked: then the item counts as unanswered, which is wrong."""
    prompt = task.prompt(example)
    try:
        adapter.question_ids(prompt)
        return Question(prompt, picture_of(example, data))
    except (SpellingError, PictureError) as error:
        return str(error)


def true_answers(
    adapter: Adapter, task: Task, examples: Sequence[Example], constrained: bool = False
) -> dict[str, float | None]:
    """Metrics of the true answers as this model can write them: in its tokens, and no more than `task.max_new_tokens`.

    constrained: only those that match the task's answer format.
    """
    pattern = pattern_to_hold(task, constrained)

    def written(example: Example) -> str:
        text = task.answer(example)
        if pattern is not None and not regex.fullmatch(pattern, text):
            return ""
        try:
            ids = adapter.answer_ids(text)
        except SpellingError:
            return ""
        return adapter.decode(torch.tensor(ids[: task.max_new_tokens]))

    return ceiling(task, examples, written)


def cut_answers(adapter: Adapter, task: Task, examples: Sequence[Example]) -> int:
    """How many true answers are longer than `task.max_new_tokens`, their end included."""

    def length(text: str) -> int:
        try:
            return len(adapter.answer_ids(text))
        except SpellingError:
            return 0

    return sum(length(task.answer(example)) > task.max_new_tokens for example in examples)


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
    bootstrap intervals, the same by group, and what a constant answer, a random one and the true one would have scored.
    """
    start = time.perf_counter()
    settings = load_settings(EvaluationSettings, cfg, "evaluation")
    counts = read_manifest(data)["counts"]
    asked = {
        split: read_examples(data, split, settings.limit) for split in splits_to_score(settings, counts, data)
    }
    for examples in asked.values():
        check_contract(task, examples[0])
    train = read_examples(data, "train") if "train" in counts else []
    predicted: dict[str, list[dict[str, Any]]] = {}
    splits: dict[str, Any] = {}
    for split, examples in asked.items():
        scored = score_examples(
            model,
            adapter,
            task,
            data,
            examples,
            settings.batch_size,
            progress=f"evaluating {split}",
            constrained=settings.constrained,
            reading=settings.reading,
        )
        predicted[split] = scored.rows
        unanswered = [row for row in scored.rows if "unanswered" in row]
        splits[split] = {
            "count": len(examples),
            "metrics": scored.metrics,
            "intervals": intervals(task, scored.items),
            "groups": by_group(task, scored.items),
            "baselines": {
                **(baselines(task, train, examples) if train else {}),
                "true": true_answers(adapter, task, examples, settings.constrained),
            },
            "unanswered": len(unanswered),
            **(
                {"unanswered_first": f"{unanswered[0]['id']}: {unanswered[0]['unanswered']}"}
                if unanswered
                else {}
            ),
        }
        report(f"{split} ({len(examples)}): {summary(task, scored.metrics)}")
        for name, metrics in splits[split]["baselines"].items():
            report(f"  a {name} answer: {summary(task, metrics)}")
        if unanswered:
            report(
                f"  {len(unanswered)} of {len(examples)} could not be asked and count as wrong; "
                f"{splits[split]['unanswered_first']}"
            )
        if cut := cut_answers(adapter, task, examples):
            report(
                f"  warning: task.max_new_tokens={task.max_new_tokens} cuts {cut} of {len(examples)} true answers, which "
                "cannot be written whole; the model was trained for shorter ones"
            )
    write_jsonl(folder / "predictions.jsonl", [finite(row) for rows in predicted.values() for row in rows])
    if settings.pictures:  # after the predictions, so that no drawing can cost them
        for split, rows in predicted.items():
            draw_predictions(
                task, data, asked[split], rows, folder / f"predictions_{file_name(split)}.png", report
            )
    replaced = replaced_records(folder)
    timing = {"evaluate_seconds": time.perf_counter() - start}
    timing |= _timing(folder / "timing.json", report)
    return {
        "schema": 1,
        "task": task.name,
        "task_version": task.version,
        "reading": settings.reading,
        "parameters": model.num_parameters(),
        "metrics": {name: metric.to_dict() for name, metric in task.metrics.items()},
        "splits": splits,
        **({"training_records_replaced": replaced} if replaced else {}),
        "timing": timing,
    }


def _timing(path: Path, report: Callable[[str], None]) -> dict[str, float]:
    """The seconds of the training; where they cannot be read, they are missed and nothing else."""
    if not path.exists():
        return {}
    try:
        timing = read_json(path)
    except UserError as error:
        report(f"warning: {error} The times of the training are left out.")
        return {}
    if not isinstance(timing, dict) or not all(
        isinstance(value, int | float) and abs(value) < LONGEST_TIME for value in timing.values()
    ):
        report(f"warning: {path} holds no times of a training; they are left out.")
        return {}
    return timing


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
