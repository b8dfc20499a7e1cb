"""What can be known before a training is checked before it, in a dry run too.

    the splits that are scored exist                  the task keeps its contract (ntil.data.contract)
    each text can be spelled by the tokenizer         true answers fit task.max_new_tokens and the model's positions

What is in the way of training is a UserError. What only lowers the scores that can be reached (questions of a test that cannot
be asked) is told, with the ceiling: what the true answers themselves would score.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from omegaconf import DictConfig
from rich.progress import track

from ntil.data.contract import check_contract
from ntil.data.dataset import picture_of
from ntil.data.example import Example, read_examples, read_manifest
from ntil.data.task import Task
from ntil.errors import SpellingError, UserError
from ntil.evaluation.evaluate import summary, true_answers
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.splits import splits_to_score
from ntil.models import Adapter
from ntil.settings import load_settings
from ntil.training.settings import TrainerSettings

MANY = 20_000  # examples from which on a progress bar is shown
SHOWN = 3  # examples named in a message


class Measured(NamedTuple):
    """The texts of one split in tokens; without what cannot be spelled."""

    examples: list[Example]
    answers: list[int]  # tokens of the true answers, their end included
    longest: Example | None  # the one whose question and answer together are longest
    unasked: list[str]  # why each of these questions cannot be asked
    unwritten: list[str]  # the same of the true answers


def check_before_training(model: Any, adapter: Adapter, task: Task, data: Path, cfg: DictConfig) -> list[str]:
    """The lines to print before a training. cfg: the whole configuration. UserError where it could not go well."""
    trainer = load_settings(TrainerSettings, cfg.trainer, "trainer")
    evaluation = load_settings(EvaluationSettings, cfg.evaluation, "evaluation")
    scored = splits_to_score(evaluation, read_manifest(data)["counts"], data)
    if evaluation.constrained and task.answer_pattern is None:
        raise UserError(f"evaluation.constrained needs an answer_pattern, and task={task.name} has none.")
    limits: dict[str, int | None] = {}
    if trainer.max_steps:
        limits["train"] = trainer.train_examples
        if trainer.eval_steps:
            limits["val"] = trainer.eval_examples
    limits |= dict.fromkeys(scored, evaluation.limit)
    measured: dict[str, Measured] = {}
    for split, limit in limits.items():
        examples = read_examples(data, split, limit)
        check_contract(task, examples[0])
        measured[split] = _measure(adapter, task, examples, split)
    if "train" in measured:
        _refuse_unspelled(measured["train"], data)
    _refuse_cut(measured, task)
    for texts in measured.values():
        _refuse_too_long(model, adapter, task, data, texts.longest)
    return [line for split in scored for line in _told(adapter, task, split, measured[split])]


def _measure(adapter: Adapter, task: Task, examples: list[Example], split: str) -> Measured:
    answers, unasked, unwritten = [], [], []
    longest, most = None, 0
    shown = track(examples, f"checking {split}") if len(examples) >= MANY else examples
    for example in shown:
        total = 0
        try:
            total += len(adapter.question_ids(task.prompt(example)))
        except SpellingError as error:
            unasked.append(f"{example.id}: {error}")
        try:
            answers.append(len(adapter.answer_ids(task.answer(example))))
            total += answers[-1]
        except SpellingError as error:
            unwritten.append(f"{example.id}: {error}")
        if total > most:
            longest, most = example, total
    return Measured(examples, answers, longest, unasked, unwritten)


def _refuse_unspelled(train: Measured, data: Path) -> None:
    if bad := [*train.unasked, *train.unwritten]:
        raise UserError(
            f"{len(train.unasked)} questions and {len(train.unwritten)} answers of the {len(train.examples)} training examples "
            f"of {data} cannot be spelled by the model's tokenizer:\n{_listed(bad)}\n"
            "Leave these records out, write them in signs that the tokenizer has, or take another model."
        )


def _refuse_cut(measured: dict[str, Measured], task: Task) -> None:
    limit, lines, longest = task.max_new_tokens, [], 0
    for split, texts in measured.items():
        if cut := sum(length > limit for length in texts.answers):
            longest = max(longest, *texts.answers)
            lines.append(
                f"  {split}: {cut} of {len(texts.answers)} ({cut / len(texts.answers):.1%}); half of the answers have "
                f"{median(texts.answers):.0f} tokens or more, the longest {max(texts.answers)}"
            )
    if lines:
        raise UserError(
            f"task.max_new_tokens={limit} would cut true answers (their end counts as a token):\n"
            + "\n".join(lines)
            + f"\nSet task.max_new_tokens={longest}, or take a shorter answer format."
        )


def _refuse_too_long(model: Any, adapter: Adapter, task: Task, data: Path, example: Example | None) -> None:
    """example: the longest one, which is encoded with its picture."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions is None or example is None:
        return
    image = picture_of(example, data)
    try:
        length = len(adapter.encode(task.prompt(example), image, task.answer(example))["input_ids"])
    except SpellingError:
        return
    if length > positions:
        raise UserError(
            f"record {example.id} takes {length} tokens with its answer, and the model has {positions} positions. Take a "
            "shorter answer format, or a model with more (tiny: +model.text_config.max_position_embeddings="
            f"{1 << (length - 1).bit_length()})."
        )


def _told(adapter: Adapter, task: Task, split: str, texts: Measured) -> list[str]:
    longest = f"of at most {max(texts.answers)} tokens " if texts.answers else ""
    ceiling = summary(task, true_answers(adapter, task, texts.examples))
    lines = [f"{split} ({len(texts.examples)}): the true answers {longest}would score {ceiling}"]
    for what, bad in (
        ("questions cannot be asked and count as unanswered", texts.unasked),
        ("true answers cannot be written", texts.unwritten),
    ):
        if bad:
            lines.append(f"warning: {len(bad)} of {len(texts.examples)} {what}:\n{_listed(bad)}")
    return lines


def _listed(reasons: Sequence[str]) -> str:
    more = [f"  … and {len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
    return "\n".join([*(f"  {reason}" for reason in reasons[:SHOWN]), *more])
