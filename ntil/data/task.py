"""What a task is: a prompt, an answer format, a strict parser and a score for one answer.

    prompt(example) → text      what the model is asked
    answer(example) → text      what it should write
    parse(text) → value | None  what it wrote, None where that is no answer in the format
    read(text, example, reading)  the same, or with reading "lenient" what other ways to write an answer say, too
    score(parsed, example)      per-item scores by metric name; None leaves the item out of that metric's mean

A metric of a split is the mean of its items' scores that are not None, or a ratio of sums of such scores (precision: all
matches over all detections). Nothing else is hidden in the aggregation, so that any metric can be resampled by item; the
one exception are metrics `of_split` (COCO's average precision), which are computed from all items at once.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ntil.data.example import Example

if TYPE_CHECKING:
    from PIL import Image

READINGS = ("strict", "lenient")


@dataclass(frozen=True)
class Metric:
    """How to read a metric: its label in tables, which way is better, its unit, the decimals to print.

    ratio: ((a, …), (b, …)) makes it Σ(a + …) / Σ(b + …) over the items' scores of these names (which need not be metrics
    themselves); None makes it the mean of the items' own scores.
    """

    label: str
    better: str  # "higher" or "lower"
    unit: str
    digits: int = 3
    ratio: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    of_split: bool = False  # comes from Task.split_metrics and not from the items' scores

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Item(NamedTuple):
    """An answered example."""

    example: Example
    parsed: Any | None
    scores: Mapping[str, float | None]


class Task(ABC):
    """Base of the tasks in tasks/; `version` goes up when scores stop being comparable."""

    name: ClassVar[str]
    version: ClassVar[int]
    metrics: ClassVar[Mapping[str, Metric]]
    headline: ClassVar[str]  # the metric shown while training
    groups: ClassVar[Sequence[str]] = ()  # keys of `meta` whose values are also scored apart
    max_new_tokens: int = 32  # an answer's longest length in tokens, its end included

    @property
    def answer_pattern(self) -> str | None:
        """A regular expression of the answer format, for `evaluation.constrained`; None where there is none."""
        return None

    @abstractmethod
    def prompt(self, example: Example) -> str: ...

    @abstractmethod
    def answer(self, example: Example) -> str: ...

    @abstractmethod
    def parse(self, text: str) -> Any | None: ...

    def read(self, text: str, example: Example, reading: str = "strict") -> Any | None:
        """What a text answers, by one of the READINGS."""
        return self.parse(text) if reading == "strict" else self.parse_lenient(text, example)

    def parse_lenient(self, text: str, example: Example) -> Any | None:
        """For models that were not trained here: what `parse` reads, and only where that is nothing, `parse_otherwise`."""
        parsed = self.parse(text)
        return self.parse_otherwise(text, example) if parsed is None else parsed

    def parse_otherwise(self, text: str, example: Example) -> Any | None:
        """An answer in another format than the task's (JSON, Markdown, units, …), in the form that `parse` gives; None where
        there is none. Of the example only what is known without the answer counts, such as the picture's size.
        """
        del text, example
        return None

    @abstractmethod
    def score(self, parsed: Any | None, example: Example) -> dict[str, float | None]: ...

    def split_metrics(self, items: Sequence[Item]) -> dict[str, float | None]:
        """The metrics that are `of_split`, by name."""
        del items
        return {}

    def constant(self, train: Sequence[Example]) -> str:
        """The one answer that serves best without looking, for the baseline: by default training's most frequent."""
        return Counter(map(self.answer, train)).most_common(1)[0][0]

    def error(self, scores: Mapping[str, float | None]) -> float:
        """How wrong an item is, to sort the worst first; unparsed answers come before all others."""
        raise NotImplementedError(f"{type(self).__name__} does not rank its errors")

    def draw(self, image: "Image.Image", parsed: Any | None, example: Example | None) -> "Image.Image":
        """The picture with the answer drawn on it, and the truth where an example is given; plain by default."""
        del parsed, example
        return image


def contribution(
    scores: Mapping[str, float | None], name: str, ratio: tuple[Sequence[str], Sequence[str]] | None
) -> tuple[float, float]:
    """What one item adds to the numerator and the denominator of metric `name`."""
    if ratio is None:
        value = scores[name]
        return (0.0, 0.0) if value is None else (value, 1.0)
    above, below = (sum(scores[part] or 0.0 for part in names) for names in ratio)
    return above, below


def aggregate(task: Task, items: Sequence[Item]) -> dict[str, float | None]:
    """Each metric of the task over these items, in the order of `task.metrics`; None where no item has a say."""
    whole = task.split_metrics(items)
    result: dict[str, float | None] = {}
    for name, metric in task.metrics.items():
        if metric.of_split:
            result[name] = whole[name]
            continue
        parts = [contribution(item.scores, name, metric.ratio) for item in items]
        below = sum(part[1] for part in parts)
        result[name] = sum(part[0] for part in parts) / below if below else None
    return result
