"""The answers to a split's questions, whoever gives them: in the order of the examples, and the same for any number of processes.

    lengths → longest first → batches → each process its own → loaded → answered → gathered → the examples' order

The batches are cut before they are dealt, so that each has the same questions however many processes there are: with other
neighbours a question has other padding, and its probabilities other last digits.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ntil.data.dataset import PictureError, picture_of
from ntil.data.example import Example
from ntil.data.pictures import FORMATS
from ntil.data.task import Task
from ntil.errors import SpellingError
from ntil.evaluation.engines import Engine
from ntil.evaluation.generate import Generated, Question, batches
from ntil.evaluation.memory import WithinMemory
from ntil.evaluation.settings import EvaluationSettings
from ntil.io import inside
from ntil.models import Subject
from ntil.runs import processes

IDLE_SIDE = 56  # pixels of the picture in the question of a process that has none of its own left


class Unasked(NamedTuple):
    """A question that cannot be put to the model."""

    reason: str


Answer = Generated | Unasked


def answered(
    subject: Subject,
    examples: Sequence[Example],
    settings: EvaluationSettings,
    engine: Engine,
    progress: str | None = None,
) -> list[Answer]:
    """An answer to each example, in their order, in each of the command's processes.

    progress: names the bar that a long evaluation shows.
    """
    lengths = _lengths(subject, examples)
    answers: dict[int, Answer] = {
        place: told for place, told in enumerate(lengths) if isinstance(told, Unasked)
    }
    order = longest_first({place: told for place, told in enumerate(lengths) if isinstance(told, int)})
    size = max(1, (settings.batch_size or engine.at_once) // engine.rows)
    cut = [[order[i] for i in span] for span in batches(len(order), size)]
    own = cut[processes.rank() :: processes.count()]
    within = WithinMemory(engine.answer, size, engine.synced)
    loaded = _loaded(subject, examples, own, engine, settings.workers)
    for number, rows in enumerate(track(loaded, progress, len(own)) if progress else loaded):
        asked = dict(zip(own[number], rows, strict=True))
        answers |= {place: row for place, row in asked.items() if isinstance(row, Unasked)}
        asked = {place: row for place, row in asked.items() if not isinstance(row, Unasked)}
        if asked:
            answers |= zip(asked, within.answer(list(asked.values())), strict=True)
        elif engine.synced:
            _idle(engine, examples)
    if engine.synced and len(own) < -(-len(cut) // processes.count()):
        _idle(engine, examples)
    for part in processes.gathered(answers):
        answers |= part
    return [answers[place] for place in range(len(examples))]


def longest_first(lengths: dict[int, int]) -> list[int]:
    """The places of questions, those of one length as they come: memory that is short shows at once."""
    return sorted(lengths, key=lambda place: -lengths[place])


def _lengths(subject: Subject, examples: Sequence[Example]) -> list[int | Unasked]:
    """The tokens of each question, or why the tokenizer cannot spell it; each process counts a part."""
    adapter, of_picture = subject.adapter, _picture_lengths(subject)

    @lru_cache(maxsize=1024)
    def of_text(prompt: str) -> int | Unasked:
        try:
            return len(adapter.question_ids(prompt))
        except SpellingError as error:
            return Unasked(str(error))

    def of_question(example: Example) -> int | Unasked:
        text = of_text(subject.task.prompt(example))
        return text if isinstance(text, Unasked) else text + of_picture(example)

    count = processes.count()
    own = range(processes.rank(), len(examples), count)
    parts = processes.gathered([of_question(examples[place]) for place in own])
    return [parts[place % count][place // count] for place in range(len(examples))]


def _picture_lengths(subject: Subject) -> Callable[[Example], int]:
    """Tokens of an example's picture, from the size that its file names; 0 for families whose pictures all have as many."""
    processor: Any = getattr(getattr(subject.adapter, "processor", None), "image_processor", None)
    patches = getattr(processor, "get_number_of_image_patches", None)

    def of_picture(example: Example) -> int:
        if patches is None or example.image is None:
            return 0
        try:
            with Image.open(inside(subject.data, example.image), formats=FORMATS) as picture:
                width, height = picture.size
            return int(patches(height, width)) // processor.merge_size**2
        except Exception:  # noqa: BLE001  (what cannot be read is named when it is asked about)
            return 0

    return of_picture


class _Questions(Dataset[Any]):
    """What the engine takes of each example's question, or why it cannot be asked."""

    def __init__(
        self, examples: Sequence[Example], task: Task, data: Path, prepare: Callable[..., Any]
    ) -> None:
        self.examples, self.task, self.data, self.prepare = examples, task, data, prepare

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, place: int) -> Any:
        example = self.examples[place]
        try:
            question = Question(self.task.prompt(example), picture_of(example, self.data), place)
            return _sent(self.prepare(question))
        except (SpellingError, PictureError) as error:
            return Unasked(str(error))


def _sent(row: Any) -> Any:
    """From a loader's process tensors go as arrays: each would take one of the few files that a process may have open."""
    if get_worker_info() is None or not isinstance(row, dict):
        return row
    return {name: value.numpy() if isinstance(value, Tensor) else value for name, value in row.items()}


def _received(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    return {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in row.items()
    }


def _loaded(
    subject: Subject, examples: Sequence[Example], own: list[list[int]], engine: Engine, workers: int
) -> Iterator[list[Any]]:
    """The rows of each batch, decoded and encoded by `workers` other processes, or by this one as they are wanted."""
    loader = DataLoader(
        _Questions(examples, subject.task, subject.data, engine.prepare),
        batch_sampler=own,
        num_workers=min(workers, len(own)),
        collate_fn=list,
        generator=torch.Generator(),  # it draws from it; a training in whose midst this is must not notice
    )
    for rows in loader:
        yield [_received(row) for row in rows]


def _idle(engine: Engine, examples: Sequence[Example]) -> None:
    """Take part in the other processes' batch, without a question of one's own."""
    seeing = examples[0].image is not None
    picture = Image.new("RGB", (IDLE_SIDE, IDLE_SIDE), "grey") if seeing else None
    engine.answer([engine.prepare(Question("1", picture))])
