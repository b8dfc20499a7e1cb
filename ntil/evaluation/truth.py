"""The true answers as a model can write them: the ceiling of its scores."""

from collections.abc import Sequence

import regex
import torch

from ntil.data.example import Example
from ntil.data.task import Task
from ntil.errors import SpellingError
from ntil.evaluation.baselines import ceiling
from ntil.evaluation.constrain import pattern_to_hold
from ntil.models.adapters import Adapter


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
