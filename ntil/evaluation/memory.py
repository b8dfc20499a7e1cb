"""A batch that does not fit into memory is halved and tried again."""

import re
import sys
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch

from ntil.errors import UserError
from ntil.runs import processes

Q = TypeVar("Q")
A = TypeVar("A")

# What torch says of a full device, and of a full machine, where it has no class for it.
_FULL = re.compile(
    r"out of memory|not enough memory|can't allocate memory|Cannot allocate memory|ALLOC_FAILED"
)
ADVICE = (
    "Set evaluation.batch_size (in evaluate.py batch_size) lower, show smaller pictures (model.max_pixels, where the family has "
    "it), quantise the model (model.tuning.quantize=4bit), take fewer evaluation.candidates where decoding is not greedy, or use a "
    "device with more memory"
)


class WithinMemory(Generic[Q, A]):
    """Questions are put to `ask` in parts of `size` at most, which is halved where memory runs out, and kept so.

    synced: the other processes take part in each call of `ask`. Then it is not called again: they wait in the midst of a layer
    for this process to go on from there.
    """

    def __init__(self, ask: Callable[[Sequence[Q]], list[A]], size: int, synced: bool = False) -> None:
        self.ask, self.size, self.synced = ask, size, synced

    def answer(self, questions: Sequence[Q]) -> list[A]:
        """In their order. UserError where memory runs out on one question alone."""
        said: list[A] = []
        while len(said) < len(questions):
            part = questions[len(said) : len(said) + self.size]
            answers = self._tried(part)
            if answers is None:
                self._halve(len(part))
            else:
                said += answers
        return said

    def _tried(self, part: Sequence[Q]) -> list[A] | None:
        """None where memory ran out; what was held is free by then."""
        try:
            return self.ask(part)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _halve(self, tried: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self.synced and tried > 1:
            raise UserError(
                f"memory ran out on {tried} questions at once, and the model is divided among {processes.count()} processes, so this "
                f"one cannot try fewer alone. {ADVICE}."
            )
        if tried == 1:
            raise UserError(f"memory ran out on a single question. {ADVICE}.")
        self.size = tried // 2
        where = f"process {processes.rank()}: " if processes.count() > 1 else ""
        print(
            f"{where}memory ran out on {tried} questions at once; {self.size} are tried (batch_size={self.size}).",
            file=sys.stderr,
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Of a GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or bool(_FULL.search(str(error)))
