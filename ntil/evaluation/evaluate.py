"""generate → predictions.jsonl → score → metrics: the same for every task and at any time."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig
from rich.progress import track

from ntil.data.contract import check_contract
from ntil.data.dataset import PictureError, picture_of
from ntil.data.example import Example, read_examples, read_manifest
from ntil.data.replaced import replaced_records
from ntil.data.task import Item, Task, aggregate
from ntil.errors import SpellingError, UserError
from ntil.evaluation.baselines import baselines
from ntil.evaluation.constrain import pattern_to_hold
from ntil.evaluation.draw import draw_predictions
from ntil.evaluation.generate import Generated, Question, batches, generate
from ntil.evaluation.intervals import intervals
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.splits import splits_to_score
from ntil.evaluation.truth import cut_answers, true_answers
from ntil.io import file_name, read_json, write_jsonl
from ntil.models import Subject
from ntil.nonfinite import finite
from ntil.settings import load_settings

LONGEST_TIME = 1e12  # seconds


class Scored(NamedTuple):
    """Predictions (the rows of predictions.jsonl), the same as items, and their metrics."""

    rows: list[dict[str, Any]]
    items: list[Item]
    metrics: dict[str, float | None]


def score_examples(
    subject: Subject, examples: Sequence[Example], settings: EvaluationSettings, progress: str | None = None
) -> Scored:
    """Generate, parse and score; `progress` names the bar that a long evaluation shows.

    settings: how many at once, whether decoding is held to the task's answer format, and how answers are read.
    """
    task = subject.task
    pattern = pattern_to_hold(task, settings.constrained)
    rows: list[dict[str, Any]] = []
    items: list[Item] = []
    spans = list(batches(len(examples), settings.batch_size))
    for span in track(spans, description=progress) if progress else spans:
        chunk = [examples[i] for i in span]
        questions = [_question(subject, example) for example in chunk]
        asked = [question for question in questions if isinstance(question, Question)]
        said = iter(
            generate(subject.model, subject.adapter, asked, task.max_new_tokens, pattern) if asked else []
        )
        for example, question in zip(chunk, questions, strict=True):
            answer = next(said) if isinstance(question, Question) else Generated("", [], [])
            parsed = (
                task.read(answer.text, example, settings.reading) if isinstance(question, Question) else None
            )
            item = Item(example, parsed, task.score(parsed, example))
            items.append(item)
            rows.append(
                {
                    "split": example.split,
                    "id": example.id,
                    "text": answer.text,
                    "answer": task.answer(example),
                    "parsed": None if parsed is None else str(parsed),
                    "reading": settings.reading,
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


def _question(subject: Subject, example: Example) -> Question | str:
    """What is put to the model, or why it cannot be asked: then the item counts as unanswered, which is wrong."""
    prompt = subject.task.prompt(example)
    try:
        subject.adapter.question_ids(prompt)
        return Question(prompt, picture_of(example, subject.data))
    except (SpellingError, PictureError) as error:
        return str(error)


def evaluate(
    subject: Subject,
    settings: DictConfig | Mapping[str, Any],
    folder: Path,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Score the splits that `settings` (conf/evaluation) names.

    Writes predictions.jsonl and pictures into `folder`; returns what metrics.json holds: for each split its metrics with
    bootstrap intervals, the same by group, and what a constant answer, a random one and the true one would have scored.
    """
    start = time.perf_counter()
    task, wanted = subject.task, load_settings(EvaluationSettings, settings, "evaluation")
    counts = read_manifest(subject.data)["counts"]
    asked = {
        split: read_examples(subject.data, split, wanted.limit)
        for split in splits_to_score(wanted, counts, subject.data)
    }
    for examples in asked.values():
        check_contract(task, examples[0])
    train = read_examples(subject.data, "train") if "train" in counts else []
    scored = {}
    splits = {}
    for split, examples in asked.items():
        scored[split] = score_examples(subject, examples, wanted, progress=f"evaluating {split}")
        splits[split] = summed_up(subject, scored[split], train, wanted.constrained)
        for line in told(subject, split, examples, splits[split]):
            report(line)
    write_jsonl(folder / "predictions.jsonl", [finite(row) for one in scored.values() for row in one.rows])
    if wanted.pictures:  # after the predictions, so that no drawing can cost them
        for split, one in scored.items():
            path = folder / f"predictions_{file_name(split)}.png"
            draw_predictions(task, subject.data, asked[split], one.rows, path, report)
    replaced = replaced_records(folder)
    seconds = {"evaluate_seconds": time.perf_counter() - start}
    return {
        "schema": 1,
        "task": task.name,
        "task_version": task.version,
        "reading": wanted.reading,
        "parameters": subject.model.num_parameters(),
        "metrics": {name: metric.to_dict() for name, metric in task.metrics.items()},
        "splits": splits,
        **({"training_records_replaced": replaced} if replaced else {}),
        "timing": {**seconds, **_training_times(folder / "timing.json", report)},
    }


def summed_up(
    subject: Subject, scored: Scored, train: Sequence[Example], constrained: bool
) -> dict[str, Any]:
    """What metrics.json says of a split. train: the training examples, for the baselines."""
    task, examples = subject.task, [item.example for item in scored.items]
    unanswered = [f"{row['id']}: {row['unanswered']}" for row in scored.rows if "unanswered" in row]
    return {
        "count": len(examples),
        "metrics": scored.metrics,
        "intervals": intervals(task, scored.items),
        "groups": by_group(task, scored.items),
        "baselines": {
            **(baselines(task, train, examples) if train else {}),
            "true": true_answers(subject.adapter, task, examples, constrained),
        },
        "unanswered": len(unanswered),
        **({"unanswered_first": unanswered[0]} if unanswered else {}),
    }


def told(
    subject: Subject, split: str, examples: Sequence[Example], result: Mapping[str, Any]
) -> Iterator[str]:
    """The lines about a split. result: as `summed_up` gives it."""
    task = subject.task
    yield f"{split} ({len(examples)}): {summary(task, result['metrics'])}"
    for name, metrics in result["baselines"].items():
        yield f"  a {name} answer: {summary(task, metrics)}"
    if result["unanswered"]:
        yield (
            f"  {result['unanswered']} of {len(examples)} could not be asked and count as wrong; {result['unanswered_first']}"
        )
    if cut := cut_answers(subject.adapter, task, examples):
        yield (
            f"  warning: task.max_new_tokens={task.max_new_tokens} cuts {cut} of {len(examples)} true answers, which cannot be "
            "written whole; the model was trained for shorter ones"
        )


def _training_times(path: Path, report: Callable[[str], None]) -> dict[str, float]:
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
