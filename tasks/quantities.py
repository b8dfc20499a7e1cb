"""What tasks share whose answer is one number that is uncertain by nature: being near is what counts.

A record's target holds `value`, and `low` and `high`, the smallest and the largest of the training split, all as texts.

Metrics, over all items unless said otherwise:

    relative_error         mean of |ŷ − y| / |y|, at most 10 for one item; 10 for an item without a number
    median_relative_error  the median of the same
    mae                    mean |ŷ − y| of the items with a number
    mae_worst              of all: an item without a number is counted as the farthest answer from the training range
    r2, r2_log, spearman   of all, with the same worst answers; r2_log (of the logarithms) where training and truth are above 0, a
                           number that is not is counted as the worst answer, too
    catastrophic           share that is off by more than × 2, has the wrong sign, or no number
    exact                  share whose number is the true one as it can be written
    parsed                 share with a number
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from math import log
from statistics import median
from typing import Any, ClassVar

from ntil.data.example import Example
from ntil.data.magnitude import Magnitude
from ntil.data.task import Item, Metric, Task
from ntil.errors import UserError
from ntil.metrics import errors
from tasks.encodings import Encoding
from tasks.extraction import last_number, value

WORST = 10.0  # the largest relative error of an item, and that of one without a number
METRICS = {
    "relative_error": Metric("relative error", "lower", ""),
    "median_relative_error": Metric("relative error, median", "lower", "", of_split=True),
    "mae": Metric("mean absolute error", "lower", "", 2),
    "mae_worst": Metric("mean absolute error, unparsed = farthest", "lower", "", 2),
    "r2": Metric("R²", "higher", "", of_split=True),
    "r2_log": Metric("R² of the logarithm", "higher", "", of_split=True),
    "spearman": Metric("Spearman's ρ", "higher", "", of_split=True),
    "catastrophic": Metric("off by more than × 2", "lower", "share"),
    "exact": Metric("exact", "higher", "share"),
    "parsed": Metric("parsed", "higher", "share"),
}


class QuantityTask(Task):
    """See the module's docstring. A subclass gives name, version, format and prompt."""

    headline: ClassVar[str] = "relative_error"
    metrics: ClassVar[Mapping[str, Metric]] = METRICS
    magnitude: ClassVar[Magnitude] = Magnitude(
        "relative error",
        (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
        "no number",
        lambda scores: scores["relative_error"] if scores["parsed"] else None,
        hidden=0,
    )
    format: Encoding

    def truth(self, example: Example) -> Decimal:
        """The nearest number that the format has."""
        with_id = f"record {example.id}: "
        try:
            return self.format.rounded(recorded(example, "value"))
        except UserError as error:
            raise UserError(with_id + str(error).removeprefix(with_id)) from None

    def parse_otherwise(self, text: str, example: Example) -> Decimal | None:
        """The number that a sentence, an equation or JSON answers (tasks.extraction), with as many decimals as a float has."""
        found = last_number(text)
        exact = None if found is None else value(found)
        return None if exact is None else Decimal(repr(float(exact)))

    def score(self, parsed: Decimal | None, example: Example) -> dict[str, float | None]:
        y, low, high = (float(recorded(example, key)) for key in ("value", "low", "high"))
        worst = errors.farthest(y, low, high)
        if parsed is None:
            scores = {"relative_error": WORST, "mae": None, "mae_worst": abs(worst - y), "catastrophic": 1.0}
            return {**scores, "exact": 0.0, "parsed": 0.0}
        found = float(parsed)
        off = abs(found - y)
        return {
            "relative_error": min(WORST, errors.relative_error(found, y)),
            "mae": off,
            "mae_worst": off,
            "catastrophic": float(errors.is_catastrophic(found, y)),
            "exact": float(parsed == self.truth(example)),
            "parsed": 1.0,
        }

    def split_metrics(self, items: Sequence[Item]) -> dict[str, float | None]:
        truth, found, logs = [], [], []
        for item in items:
            y, low, high = (float(recorded(item.example, key)) for key in ("value", "low", "high"))
            guess = errors.farthest(y, low, high) if item.parsed is None else float(item.parsed)
            truth.append(y)
            found.append(guess)
            if y > 0 and low > 0:
                worst = low if log(y) - log(low) > log(high) - log(y) else high
                logs.append(guess if guess > 0 and item.parsed is not None else worst)
        return {
            "median_relative_error": median(item.scores["relative_error"] or 0.0 for item in items),
            "r2": errors.r_squared(found, truth),
            "r2_log": errors.log_r_squared(logs, truth) if len(logs) == len(truth) else None,
            "spearman": errors.spearman(found, truth),
        }

    def constant(self, train: Sequence[Example]) -> str:
        """The median of training."""
        return self.format.write(median(recorded(example, "value") for example in train))

    def error(self, scores: Mapping[str, float | None]) -> float:
        """The relative error; 0 for the true number as it can be written, and what could not be read comes first."""
        if scores["exact"]:
            return 0.0
        return (scores["relative_error"] or 0.0) + (0.0 if scores["parsed"] else 1.0)


def recorded(example: Example, key: str) -> Decimal:
    """A number of a record's target, which stands there as text; UserError where it is none."""
    text: Any = example.target.get(key)
    try:
        number = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > 100:
        raise UserError(f"record {example.id}: its {key} {text!r} is not a number written as text.")
    return number
