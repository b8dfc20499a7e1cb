"""What can be known before a training is checked before it, in a dry run too.

    the splits that are scored exist                  the task keeps its contract (ntil.data.contract)
    each text can be spelled by the tokenizer         true answers fit task.max_new_tokens and the model's positions

What is in the way of training is a UserError. What only lowers the scores that can be reached (questions of a test that cannot
be asked) is told, with the ceiling: what the true answers themselves would score.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig
from rich.progress import track

from ntil.data.contract import blamed_on, check_contract
from ntil.data.dataset import PictureError, picture_of
from ntil.data.example import Example, read_examples, read_manifest
from ntil.data.task import Task
from ntil.errors import SpellingError, UserError
from ntil.evaluation.constrain import pattern_to_hold
from ntil.evaluation.evaluate import summary
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.splits import splits_to_score
from ntil.evaluation.truth import true_answers
from ntil.models import Adapter, Subject
from ntil.runs import processes
from ntil.settings import load_settings
from ntil.training.settings import TrainerSettings

MANY = 20_000  # examples from which on a progress bar is shown
SHOWN = 3  # examples named in a message
TEXTS = 1 << 16  # whose lengths are remembered


@dataclass
class Reasons:
    """Why some examples do not serve: how many, and the first SHOWN."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, reason: str) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(reason)

    def __add__(self, more: "Reasons") -> "Reasons":
        return Reasons(self.count + more.count, [*self.first, *more.first][:SHOWN])

    def __str__(self) -> str:
        rest = [f"  … and {self.count - SHOWN} more"] if self.count > SHOWN else []
        return "\n".join([*(f"  {reason}" for reason in self.first), *rest])


class Measured(NamedTuple):
    """The texts of one split in tokens; without what cannot be spelled."""

    examples: Sequence[Example]
    answers: Counter[int]  # tokens of a true answer, its end included → how many have so many
    longest: Example | None  # the one whose question and answer together are longest
    unasked: Reasons  # why questions cannot be asked
    unwritten: Reasons  # the same of the true answers


def check_before_training(subject: Subject, cfg: DictConfig, counted: bool = True) -> list[str]:
    """The lines to print before a training. cfg: the whole configuration. UserError where it could not go well.

    counted: whether the tokens are the model's own. What an estimate of them would refuse is told.
    """
    trainer = load_settings(TrainerSettings, cfg.trainer, "trainer")
    evaluation = load_settings(EvaluationSettings, cfg.evaluation, "evaluation")
    adapter, task, data = subject.adapter, subject.task, subject.data
    counts = read_manifest(data)["counts"]
    scored = splits_to_score(evaluation, counts, data)
    pattern_to_hold(task, evaluation.constrained)
    limits: dict[str, int | None] = {}
    if trainer.max_steps:
        limits["train"] = trainer.train_examples
        if trainer.eval_steps:
            limits["val"] = trainer.eval_examples
    limits |= dict.fromkeys(scored, evaluation.limit)
    _refuse_missing(limits, counts, data)
    measured: dict[str, Measured] = {}
    for split, limit in limits.items():
        examples = read_examples(data, split, limit)
        check_contract(task, examples[0])
        measured[split] = _measure(adapter, task, examples, data)
    if "train" in measured:
        check_batch_size(trainer, len(measured["train"].examples), data)
    told: list[str] = []
    try:
        if "train" in measured:
            _refuse_unspelled(measured["train"], data)
        _refuse_cut(measured, task)
        for texts in measured.values():
            _refuse_too_long(subject.model, adapter, task, data, texts.longest, "text_config" in cfg.model)
    except UserError as error:
        if counted:
            raise
        told.append(f"by an estimate of the tokens, this would be refused: {error}")
    return told + [
        line
        for split in scored
        for line in _told(adapter, task, split, measured[split], evaluation.constrained)
    ]


def check_batch_size(trainer: TrainerSettings, count: int, data: Path) -> None:
    """UserError where `count` training examples make no batch for each process."""
    if count < trainer.batch_size * processes.count():
        several = f" × {processes.count()} processes" if processes.count() > 1 else ""
        raise UserError(
            f"trainer.batch_size={trainer.batch_size}{several} exceeds the {count} training examples of {data}."
        )


def _refuse_missing(wanted: Mapping[str, int | None], counts: Mapping[str, int], data: Path) -> None:
    """Of the splits that the training itself uses."""
    ways = {
        "train": "trainer.max_steps=0 scores the model as it is",
        "val": "trainer.eval_steps=0 trains without",
    }
    for split, way in ways.items():
        if split in wanted and not counts.get(split):
            raise UserError(f"{data} has no split {split!r}; it has {', '.join(counts)}. {way}.")


def _refuse_mixed(example: Example, first: Example, data: Path) -> None:
    if (example.image is None) != (first.image is None):
        seeing, blind = (first.id, example.id) if example.image is None else (example.id, first.id)
        raise UserError(
            f"{data}, split {first.split}: record {seeing} has a picture and {blind} has none, and a batch cannot mix "
            "them. Give each kind a set."
        )


def _measure(adapter: Adapter, task: Task, examples: Sequence[Example], data: Path) -> Measured:
    """Looks at each example once, and keeps counts."""
    texts, first = Measured(examples, Counter(), None, Reasons(), Reasons()), examples[0]
    question, answer = (_length(method) for method in (adapter.question_ids, adapter.answer_ids))
    longest, most = None, 0
    for example in track(examples, f"checking {first.split}") if len(examples) >= MANY else examples:
        _refuse_mixed(example, first, data)
        with blamed_on(task, example):
            asked, replied = question(task.prompt(example)), answer(task.answer(example))
        if isinstance(asked, str):
            texts.unasked.add(f"{example.id}: {asked}")
        if isinstance(replied, str):
            texts.unwritten.add(f"{example.id}: {replied}")
        else:
            texts.answers[replied] += 1
            if isinstance(asked, int) and asked + replied > most:
                longest, most = example, asked + replied
    return texts._replace(longest=longest)


def _length(ids: Callable[[str], list[int]]) -> Callable[[str], int | str]:
    """Text → its length in tokens, or why it has none; a text that has been looked at lately is not looked at again."""

    @lru_cache(maxsize=TEXTS)
    def length(text: str) -> int | str:
        try:
            return len(ids(text))
        except SpellingError as error:
            return str(error)

    return length


def _refuse_unspelled(train: Measured, data: Path) -> None:
    if (bad := train.unasked + train.unwritten).count:
        raise UserError(
            f"{train.unasked.count} questions and {train.unwritten.count} answers of the {len(train.examples)} training examples "
            f"of {data} cannot be spelled by the model's tokenizer:\n{bad}\n"
            "Leave these records out, write them in signs that the tokenizer has, or take another model."
        )


def _refuse_cut(measured: dict[str, Measured], task: Task) -> None:
    limit, lines, longest = task.max_new_tokens, [], 0
    for split, texts in measured.items():
        if cut := sum(count for length, count in texts.answers.items() if length > limit):
            longest, count = max(longest, *texts.answers), texts.answers.total()
            lines.append(
                f"  {split}: {cut} of {count} ({cut / count:.1%}); half of the answers have "
                f"{median(texts.answers):.0f} tokens or more, the longest {max(texts.answers)}"
            )
    if lines:
        raise UserError(
            f"task.max_new_tokens={limit} would cut true answers (their end counts as a token):\n"
            + "\n".join(lines)
            + f"\nSet task.max_new_tokens={longest}, or take a shorter answer format."
        )


def median(counts: Counter[int]) -> float:
    """Of values that have been counted: the middle one, or the mean of the middle two."""
    middle = [(counts.total() - 1) // 2, counts.total() // 2]
    ranked = sorted(counts)
    reached = list(accumulate(counts[value] for value in ranked))
    return sum(ranked[bisect_right(reached, place)] for place in middle) / 2


def _refuse_too_long(
    model: Any, adapter: Adapter, task: Task, data: Path, example: Example | None, sized: bool
) -> None:
    """example: the longest one, which is encoded with its picture. sized: the config gives the decoder's sizes."""
    if example is None:
        return
    try:
        picture = picture_of(example, data)
    except PictureError:  # the training names it and goes on
        return
    row = adapter.encode(task.prompt(example), picture, task.answer(example))
    length = len(row["input_ids"])
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions is not None and length > positions:
        enough = 1 << (length - 1).bit_length()
        more = f" (+model.text_config.max_position_embeddings={enough})" if sized else ""
        raise UserError(
            f"record {example.id} takes {length} tokens with its answer, and the model has {positions} positions. Take a "
            f"shorter answer format, or a model with more{more}."
        )


def _told(adapter: Adapter, task: Task, split: str, texts: Measured, constrained: bool) -> list[str]:
    longest = f"of at most {max(texts.answers)} tokens " if texts.answers else ""
    ceiling = summary(task, true_answers(adapter, task, texts.examples, constrained))
    lines = [f"{split} ({len(texts.examples)}): the true answers {longest}would score {ceiling}"]
    for what, bad in (
        ("questions cannot be asked and count as unanswered", texts.unasked),
        ("true answers cannot be written", texts.unwritten),
    ):
        if bad.count:
            lines.append(f"warning: {bad.count} of {len(texts.examples)} {what}:\n{bad}")
    return lines
