"""What a task is: a prompt, an answer format, a score for one answer, and how its errors are shown.

    prompt(example) → text        what the model is asked
    truth(example) → value        the true answer
    format.write(value) → text    how it is written: what the model should write
    format.read(text) → value     what a text answers, None where that is no answer in the format
    score(value, example)         per-item scores by name; None leaves the item out of that metric's mean

docs/add_a_task.md is the way to a new one, step by step.

A metric of a split is the mean of its items' scores that are not None, or a ratio of sums of such scores (precision: all
matches over all detections). Nothing else is hidden in the aggregation, so that any metric can be resampled by item; the
one exception are metrics `of_split` (COCO's average precision), which are computed from all items at once.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ntil.data.answers import AnswerFormat
from ntil.data.example import Example
from ntil.data.magnitude import WRONG_DIGITS, Magnitude, Scores
from ntil.metrics.centre import Kind, centre, is_finite_number

if TYPE_CHECKING:
    from PIL import Image

READINGS = ("strict", "lenient")


@dataclass(frozen=True)
class Metric:
    """How to read a metric: its label in tables, which way is better ("higher" or "lower"), its unit, the decimals to print.

    ratio: ((a, …), (b, …)) makes it Σ(a + …) / Σ(b + …) over the items' scores of these names (which need not be metrics
    themselves); None makes it the mean of the items' own scores.
    """

    label: str
    better: str
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
    """Base of the tasks in tasks/: a task is one module, and says all that is said about it.

    To give, on the class
        name       what runs, tables and `results/` call it; the same as its file in conf/task/
        version    a whole number that goes up when scores stop being comparable
        metrics    name → Metric, in the order to show them
        headline   the metric shown while training
    To give, as attribute or method
        format     an AnswerFormat: writes, reads and constrains answers. On the class, or made by `__init__` from settings
        prompt     what the model is asked about an example
        truth      the true answer of an example, as a value that `format` writes
        score      a value's scores by name: one for each metric that is no ratio and not `of_split`, and all that ratios sum.
                   With None (no answer): what that costs, or None for what cannot be measured

    With defaults
        error            how wrong an item is, to sort the worst first and to paint what is right green (an error of 0)
        constant         the one answer that serves best without looking
        parse_otherwise  answers in other formats, for `evaluation.reading=lenient`: none
        split_metrics    metrics of all items at once: none
        centre           the middle of several answers, for `evaluation.decode=median` and `mean`: of numbers, and of lists and
                         tuples of them coordinate by coordinate; else the most probable
        as_number        an answer as one number, for intervals: of answers that are numbers
        draw             the answer on the picture: the plain picture
        groups           keys of `meta` whose values are also scored apart: none
        magnitude        how far off the answers are, in bins: the number of wrong digits
        number_names     of the numbers in an answer from the left ("hour", "minute"), to count wrong digits of each by place;
                         without names all numbers of an answer are counted together
        max_new_tokens   an answer's longest length in tokens, its end included: 32

    Settings are arguments of `__init__` with a type (str, int, float or bool) and a default: conf/task/<name>.yaml sets
    them, and a stored run is built again from them. `ntil.data.contract` tries a task before anything is trained.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    metrics: ClassVar[Mapping[str, Metric]]
    headline: ClassVar[str]
    groups: ClassVar[Sequence[str]] = ()
    magnitude: ClassVar[Magnitude] = WRONG_DIGITS
    number_names: ClassVar[Sequence[str]] = ()
    format: AnswerFormat[Any]
    max_new_tokens: int = 32

    @abstractmethod
    def prompt(self, example: Example) -> str: ...

    def truth(self, example: Example) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say what is true; give it truth(example)")

    @abstractmethod
    def score(self, parsed: Any | None, example: Example) -> dict[str, float | None]: ...

    def answer(self, example: Example) -> str:
        """What the model should write."""
        return self.format.write(self.truth(example))

    @property
    def answer_pattern(self) -> str | None:
        """A regular expression of the answer format, for `evaluation.constrained`; None where there is none."""
        return self.format.pattern

    def parse(self, text: str) -> Any | None:
        """The value of a text in the task's format, None where it is none."""
        return self.format.read(text)

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

    def centre(self, parsed: Sequence[Any], weights: Sequence[float], kind: Kind) -> Any | None:
        """The value of least expected loss: E|X − y| for "median", E(X − y)² for "mean" (ntil.metrics.centre).

        parsed: values as `parse` gives them, at least one, the most probable first. weights: their probabilities, of any sum.
        None where there is no such value; then the most probable answer stands.
        """
        return centre(parsed, weights, kind)

    def as_number(self, parsed: Any) -> Any | None:
        """The one number (int, float, Fraction or Decimal) that an answer is, for intervals; None where it is none."""
        return parsed if is_finite_number(parsed) else None

    def split_metrics(self, items: Sequence[Item]) -> dict[str, float | None]:
        """The metrics that are `of_split`, by name."""
        del items
        return {}

    def constant(self, train: Sequence[Example]) -> str:
        """The one answer that serves best without looking, for the baseline: by default training's most frequent."""
        return Counter(map(self.answer, train)).most_common(1)[0][0]

    def error(self, scores: Scores) -> float:
        """How wrong an item is, to sort the worst first; unparsed answers come before all others, right ones have 0.

        By default the headline's score, or what it lacks to 1, and 1 more where a score `parsed` is 0. Where the headline
        may be None for an item, or is a ratio or of the whole split, the task says it itself.
        """
        metric, score = self.metrics[self.headline], scores.get(self.headline)
        if metric.ratio is not None or metric.of_split or score is None:
            raise NotImplementedError(
                f"{type(self).__name__} does not rank its errors, and not every item has a score {self.headline!r}; "
                "give it error(scores)"
            )
        off = 1 - score if metric.better == "higher" else score
        return off + (1.0 if scores.get("parsed") == 0 else 0.0)

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
