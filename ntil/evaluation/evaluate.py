"""generate → predictions.jsonl → score → metrics: the same for every task and at any time."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ntil.data.contract import check_contract
from ntil.data.example import Example, read_examples, read_manifest
from ntil.data.replaced import replaced_records
from ntil.data.task import Item, Task, aggregate
from ntil.errors import UserError
from ntil.evaluation.answers import Answer, answered
from ntil.evaluation.candidates import answer_with_candidates, encode_with_place
from ntil.evaluation.constrain import pattern_to_hold
from ntil.evaluation.decode import check_decoding, decided
from ntil.evaluation.draw import draw_predictions
from ntil.evaluation.engines import Engine, at_once, encode, is_divided
from ntil.evaluation.generate import Generated, generate
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.splits import splits_to_score
from ntil.evaluation.told import Scored, by_group, summary, summed_up, told
from ntil.io import file_name, read_json, write_jsonl
from ntil.models import Subject
from ntil.nonfinite import finite
from ntil.runs import processes
from ntil.settings import load_settings

__all__ = ["Scored", "by_group", "evaluate", "score_examples", "summary"]

LONGEST_TIME = 1e12  # seconds


def score_examples(
    subject: Subject,
    examples: Sequence[Example],
    settings: EvaluationSettings,
    progress: str | None = None,
    synced: bool | None = None,
) -> Scored:
    """Generate with transformers, parse and score; `progress` names the bar that a long evaluation shows.

    All of a command's processes call it, each answers its part, and each gets the whole.

    settings: how many at once, whether decoding is held to the task's answer format, and how answers are read. synced: each
    process must make as many forward passes as the others; null where the model itself shows it (it is divided among them).
    """
    answers = answered(subject, examples, settings, _transformers(subject, settings, synced), progress)
    return _scored(subject.task, examples, answers, settings)


def _transformers(subject: Subject, settings: EvaluationSettings, synced: bool | None) -> Engine:
    if synced is None:
        synced = is_divided(subject.model)
    synced = synced and processes.count() > 1
    pattern = pattern_to_hold(subject.task, settings.constrained)

    def answer(rows: Sequence[Any]) -> list[Generated]:
        return generate(subject.model, subject.adapter, rows, subject.task.max_new_tokens, pattern, synced)

    if settings.decode == "greedy":
        return Engine(partial(encode, subject.adapter), answer, at_once(subject.model), synced)
    if synced:
        raise UserError(
            f"evaluation.decode={settings.decode} needs the whole model in each process, and this one is divided among "
            f"{processes.count()}. Set decode=greedy, or score the finished run with evaluate.py."
        )

    check_decoding(subject.task, settings.decode)

    def answer_widely(rows: Sequence[Any]) -> list[Generated]:
        return answer_with_candidates(
            subject.model, subject.adapter, rows, subject.task.max_new_tokens, pattern, settings
        )

    return Engine(
        partial(encode_with_place, subject.adapter),
        answer_widely,
        at_once(subject.model),
        rows=settings.rows,
    )


def _engine(subject: Subject, settings: EvaluationSettings, synced: bool | None) -> Engine:
    if settings.engine == "vllm":
        from ntil.evaluation.vllm_engine import vllm_engine  # its packages are large, and few have them

        return vllm_engine(subject, pattern_to_hold(subject.task, settings.constrained))
    return _transformers(subject, settings, synced)


def _scored(
    task: Task, examples: Sequence[Example], answers: Sequence[Answer], settings: EvaluationSettings
) -> Scored:
    """answers: as many as examples. What could not be asked counts as wrong."""
    reading = settings.reading
    rows: list[dict[str, Any]] = []
    items: list[Item] = []
    for example, said in zip(examples, answers, strict=True):
        answer = said if isinstance(said, Generated) else Generated("", [], [])
        answer, how = decided(task, answer, example, settings.decode, reading)
        parsed = task.read(answer.text, example, reading) if isinstance(said, Generated) else None
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
                **how,
                "scores": item.scores,
                "tokens": answer.tokens,
                "probabilities": [
                    p if isfinite(p) else None for p in answer.probabilities
                ],  # of a diverged model
                "meta": example.meta,
                **({} if isinstance(said, Generated) else {"unanswered": said.reason}),
            }
        )
    return Scored(rows, items, aggregate(task, items))


def evaluate(
    subject: Subject,
    settings: DictConfig | Mapping[str, Any],
    folder: Path,
    report: Callable[[str], None] = print,
    synced: bool | None = None,
) -> dict[str, Any]:
    """Score the splits that `settings` (conf/evaluation) names.

    Writes predictions.jsonl and pictures into `folder`; returns what metrics.json holds: for each split its metrics with
    bootstrap intervals, the same by group, and what a constant answer, a random one and the true one would have scored.

    All of a command's processes call it; the first one writes and reports. synced: as for `score_examples`.
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
    engine = _engine(subject, wanted, synced)
    train = read_examples(subject.data, "train") if processes.is_first() and "train" in counts else []
    constant = task.constant(train) if train else None
    scored: dict[str, Scored] = {}
    splits: dict[str, Any] = {}

    def sum_up(split: str, answers: Sequence[Answer]) -> None:
        scored[split] = _scored(task, asked[split], answers, wanted)
        splits[split] = summed_up(subject, scored[split], train, constant, wanted.constrained)
        for line in told(subject, split, asked[split], splits[split]):
            report(line)

    answering = 0.0
    for split, examples in asked.items():
        began = time.perf_counter()
        answers = answered(subject, examples, wanted, engine, progress=f"evaluating {split}")
        answering += time.perf_counter() - began
        processes.by_first(partial(sum_up, split, answers))

    def written() -> dict[str, Any]:
        write_jsonl(
            folder / "predictions.jsonl", [finite(row) for one in scored.values() for row in one.rows]
        )
        if wanted.pictures:  # after the predictions, so that no drawing can cost them
            for split, one in scored.items():
                path = folder / f"predictions_{file_name(split)}.png"
                draw_predictions(task, subject.data, asked[split], one.rows, path, report)
        replaced = replaced_records(folder)
        questions = sum(map(len, asked.values()))
        seconds: dict[str, Any] = {
            "evaluate_seconds": time.perf_counter() - start,
            "seconds_per_answer": answering / max(1, questions),
            "decode": wanted.decode,
        }
        if wanted.decode != "greedy":
            report(f"decode={wanted.decode}: {seconds['seconds_per_answer']:.3g} s an answer")
        return {
            "schema": 1,
            "task": task.name,
            "task_version": task.version,
            "reading": wanted.reading,
            "parameters": parameters,
            "metrics": {name: metric.to_dict() for name, metric in task.metrics.items()},
            "splits": splits,
            **({"training_records_replaced": replaced} if replaced else {}),
            "timing": {**seconds, **_training_times(folder / "timing.json", report)},
        }

    parameters = subject.model.num_parameters()
    return processes.by_first(written)


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
