"""What a task is: a prompt, an answer format, a strict parser and a score for one answer.

    prompt(example) → text      what the model is asked
    answer(example) → text      what it should write
    parse(text) → value | None  what it wrote, None where that is no answer in the format
    score(parsed, example)      per-item scores by metric name; None leaves the item out of that metric's mean

A metric of a split is the mean of its items' scores that are not None; nothing else is hidden in the aggregation.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ntil.data.example import Example

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Metric:
    """How to read a metric: its label in tables, which way is better, its unit, the decimals to print."""

    label: str
    better: str  # "higher" or "lower"
    unit: str
    digits: int = 3

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Task(ABC):
    """Base of the tasks in tasks/; `version` goes up when scores stop being comparable."""

    name: ClassVar[str]
    version: ClassVar[int]
    metrics: ClassVar[Mapping[str, Metric]]
    headline: ClassVar[str]  # the metric shown while training
    max_new_tokens: int = 32  # an answer's longest length in tokens, its end included

    @abstractmethod
    def prompt(self, example: Example) -> str: ...

    @abstractmethod
    def answer(self, example: Example) -> str: ...

    @abstractmethod
    def parse(self, text: str) -> Any | None: ...

    @abstractmethod
    def score(self, parsed: Any | None, example: Example) -> dict[str, float | None]: ...

    def error(self, scores: Mapping[str, float | None]) -> float:
        """How wrong an item is, to sort the worst first; unparsed answers come before all others."""
        raise NotImplementedError(f"{type(self).__name__} does not rank its errors")

    def draw(self, image: "Image.Image", parsed: Any | None, example: Example | None) -> "Image.Image":
        """The picture with the answer drawn on it, and the truth where an example is given; plain by default."""
        del parsed, example
        return image


def aggregate(scores: Iterable[Mapping[str, float | None]], names: Sequence[str]) -> dict[str, float | None]:
    """Mean of each metric over the items that have it; None where none has."""
    rows = list(scores)
    result: dict[str, float | None] = {}
    for name in names:
        values = [value for row in rows if (value := row[name]) is not None]
        result[name] = sum(values) / len(values) if values else None
    return result
