"""What answers cost nothing: one constant answer for every item, and answers drawn at random from training.

Both go through the task's parser and scores like a model's answers. A result is worth as much as its distance to them.
"""

import random
from collections.abc import Callable, Sequence

from ntil.data.example import Example
from ntil.data.task import Item, Task, aggregate

SEED = 0


def baselines(
    task: Task, train: Sequence[Example], examples: Sequence[Example], constant: str | None = None
) -> dict[str, dict[str, float | None]]:
    """Metrics of the "constant" and the "random" answers on `examples`; nothing is looked up in `examples` itself.

    constant: `task.constant(train)`, which reads all of the training records, where it is known already.
    """
    draw = random.Random(SEED)
    always = [task.constant(train) if constant is None else constant] * len(examples)
    drawn = [task.answer(draw.choice(train)) for _ in examples]
    return {"constant": _score(task, examples, always), "random": _score(task, examples, drawn)}


def ceiling(
    task: Task, examples: Sequence[Example], written: Callable[[Example], str] | None = None
) -> dict[str, float | None]:
    """Metrics of the true answers, as far as they can be written. written: the text of one, by default `task.answer`."""
    return _score(task, examples, [(written or task.answer)(example) for example in examples])


def _score(task: Task, examples: Sequence[Example], answers: Sequence[str]) -> dict[str, float | None]:
    items = []
    for example, text in zip(examples, answers, strict=True):
        parsed = task.parse(text)
        items.append(Item(example, parsed, task.score(parsed, example)))
    return aggregate(task, items)
