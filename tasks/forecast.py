"""Forecasting: a series as digits, and the values that follow.

    prompt  passengers in thousands: 112,118,132,129,121,135,148,148,136,119,104,118
    answer  115,126,141     in the `fixed` encoding, padded to digits: 0115,0126,0141

Encodings:

    llmtime         LLMTime's (Gruver et al. 2023): each value less an offset, over a scale that are taken of the shown history alone
                    (so that most of it lies below 1), with `precision` decimals, its point left out: 412,873. As for models that
                    have a token for each digit
    llmtime_spaced  the same with a space between digits, as for GPT-3: 4 1 2 , 8 7 3. A number-aware loss takes each digit for a
                    number of its own then
    fixed           the values themselves as padded integers (tasks/encodings.py)

An answer is parsed when it is `horizon` numbers of the encoding and nothing else; values are then those of the encoding (`score`
takes them back to the series' unit). Metrics are means over the windows: of a window the mean |ŷ − y| (mae; an unparsed one is in
`mae_worst` alone, its values counted as the farthest of the training range), sMAPE (0 to 2; unparsed 2), MASE (over the error of
the seasonal naive forecast in training; unparsed as in mae_worst), and the share of values that are off by more than × 2 (all of
an unparsed one).

Version 1: first version.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from statistics import fmean, median
from typing import Any, ClassVar, NamedTuple

from ntil.data.answers import AnswerFormat
from ntil.data.example import Example
from ntil.data.magnitude import Magnitude
from ntil.data.task import Metric, Task
from ntil.errors import UserError, did_you_mean
from ntil.metrics import errors
from tasks.encodings import Encoding, PaddedFormat
from tasks.quantities import recorded

ALPHA, BETA = (
    0.95,
    0.3,
)  # LLMTime's: the share of history below 1, and how far below its smallest value 0 lies
ENCODINGS = ("llmtime", "llmtime_spaced", "fixed")


class Values(tuple[Decimal, ...]):
    """Numbers in a row, as an encoding has them."""

    def __str__(self) -> str:
        return ", ".join(f"{value:f}" for value in self)


class Scale(NamedTuple):
    """Written value = (value − offset) / size."""

    offset: float = 0.0
    size: float = 1.0


class ScaledDigits(Encoding):
    """`-412`: a scaled value with `precision` decimals and no point; `- 4 1 2` where spaced. At most 7 digits, LLMTime's 10⁷."""

    LARGEST = 7

    def __init__(self, precision: int, spaced: bool) -> None:
        if not 0 <= precision < self.LARGEST:
            raise UserError(f"task.precision must be from 0 to {self.LARGEST - 1}, not {precision}.")
        self.precision, self.gap = precision, " " if spaced else ""

    @property
    def pattern(self) -> str:
        return rf"(?:-{self.gap})?[1-9](?:{self.gap}[0-9]){{0,{self.LARGEST - 1}}}|0"

    def rounded(self, value: Decimal) -> Decimal:
        """Beyond 7 digits the largest of 7, which LLMTime clips at."""
        most = Decimal(10**self.LARGEST - 1).scaleb(-self.precision)
        nearest = min(max(value, -most), most).quantize(Decimal(1).scaleb(-self.precision))
        return nearest if nearest else abs(nearest)

    def _text(self, value: Decimal) -> str:
        return self.gap.join(str(int(value.scaleb(self.precision))))

    def _value(self, text: str) -> Decimal:
        return Decimal(text.replace(" ", "")).scaleb(-self.precision)


class SeriesFormat(AnswerFormat[Values]):
    """`count` numbers of an encoding with commas between them; count None: however many."""

    def __init__(self, number: Encoding, separator: str, count: int | None = None) -> None:
        self.number, self.separator, self.count = number, separator, count

    @property
    def pattern(self) -> str:
        one = f"(?:{self.number.pattern})"
        times = "*" if self.count is None else f"{{{self.count - 1}}}"
        return f"{one}(?:{re.escape(self.separator)}{one}){times}"

    def write(self, value: Sequence[Decimal]) -> str:
        return self.separator.join(map(self.number.write, value))

    def read(self, text: str) -> Values | None:
        found = [self.number.read(part) for part in text.strip().split(self.separator)]
        if self.count is not None and len(found) != self.count:
            return None
        known = [value for value in found if value is not None]
        return Values(known) if len(known) == len(found) else None


class ForecastTask(Task):
    """See the module's docstring. question: a template with {query}, the history in the encoding."""

    name: ClassVar[str] = "forecast"
    version: ClassVar[int] = 1
    headline: ClassVar[str] = "mase"
    metrics: ClassVar[Mapping[str, Metric]] = {
        "mase": Metric("MASE", "lower", ""),
        "smape": Metric("sMAPE", "lower", ""),
        "mae": Metric("mean absolute error", "lower", "", 2),
        "mae_worst": Metric("mean absolute error, unparsed = farthest", "lower", "", 2),
        "catastrophic": Metric("off by more than × 2", "lower", "share"),
        "exact": Metric("exact", "higher", "share"),
        "parsed": Metric("parsed", "higher", "share"),
    }
    magnitude: ClassVar[Magnitude] = Magnitude(
        "MASE",
        (0, 0.25, 0.5, 1, 2, 4),
        "no forecast",
        lambda scores: scores["mase"] if scores["parsed"] else None,
        hidden=0,
    )
    format: SeriesFormat

    def __init__(
        self,
        question: str = "{query}",
        encoding: str = "llmtime",
        horizon: int = 6,
        precision: int = 3,
        digits: int = 4,
        places: int = 0,
        max_new_tokens: int = 128,
    ) -> None:
        if encoding not in ENCODINGS:
            raise UserError(
                f"task.encoding={encoding!r} is no way to write a series.{did_you_mean(encoding, ENCODINGS)} There are {', '.join(ENCODINGS)}."
            )
        if horizon < 1:
            raise UserError(f"task.horizon must be at least 1, not {horizon}.")
        spaced, self.scaled = encoding == "llmtime_spaced", encoding != "fixed"
        number: Encoding = ScaledDigits(precision, spaced) if self.scaled else PaddedFormat(digits, places)
        self.format = SeriesFormat(number, " , " if spaced else ",", horizon)
        self.shown = SeriesFormat(number, self.format.separator)
        self.question, self.horizon, self.max_new_tokens = question, horizon, max_new_tokens

    def prompt(self, example: Example) -> str:
        return self.question.replace("{query}", self.shown.write(self._written(example, history(example))))

    def truth(self, example: Example) -> Values:
        values = future(example)
        if len(values) != self.horizon:
            raise UserError(
                f"record {example.id} asks for {len(values)} values, and task.horizon is {self.horizon}."
            )
        return self._written(example, values)

    def score(self, parsed: Values | None, example: Example) -> dict[str, float | None]:
        truth = [float(value) for value in future(example)]
        naive = float(example.target["naive_error"])
        if parsed is None:
            low, high = float(recorded(example, "low")), float(recorded(example, "high"))
            off = errors.mean_absolute_error([errors.farthest(y, low, high) for y in truth], truth)
            worst = {"mase": off / naive, "smape": errors.WORST_SMAPE, "mae": None, "mae_worst": off}
            return {**worst, "catastrophic": 1.0, "exact": 0.0, "parsed": 0.0}
        found = self.forecast(parsed, example)
        off = errors.mean_absolute_error(found, truth)
        return {
            "mase": errors.mase(found, truth, naive),
            "smape": errors.smape(found, truth),
            "mae": off,
            "mae_worst": off,
            "catastrophic": fmean(errors.is_catastrophic(*both) for both in zip(found, truth, strict=True)),
            "exact": float(parsed == self.truth(example)),
            "parsed": 1.0,
        }

    def forecast(self, parsed: Values, example: Example) -> list[float]:
        """An answer's values in the unit of the series."""
        offset, size = self._scale(example)
        return [float(value) * size + offset for value in parsed]

    def constant(self, train: Sequence[Example]) -> str:
        """The median of each written value."""
        columns = zip(*map(self.truth, train), strict=True)
        return self.format.write([median(column) for column in columns])

    def error(self, scores: Mapping[str, float | None]) -> float:
        """MASE; 0 for the true values as they can be written, and what could not be read comes first."""
        if scores["exact"]:
            return 0.0
        return (scores["mase"] or 0.0) + (0.0 if scores["parsed"] else 1e6)

    def _written(self, example: Example, values: Sequence[Decimal]) -> Values:
        scale = self._scale(example)
        inside = (
            values
            if scale == Scale()
            else [Decimal(repr((float(v) - scale.offset) / scale.size)) for v in values]
        )
        try:
            return Values(map(self.format.number.rounded, inside))
        except UserError as error:
            raise UserError(f"record {example.id}: {error}") from None

    def _scale(self, example: Example) -> Scale:
        """LLMTime's: 0 lies BETA of the range below the smallest value shown, and 1 above a share ALPHA of them."""
        if not self.scaled:
            return Scale()
        shown = [float(value) for value in history(example)]
        offset = min(shown) - BETA * (max(shown) - min(shown))
        size = _quantile([value - offset for value in shown], ALPHA)
        return Scale(offset, size or 1.0)


def history(example: Example) -> list[Decimal]:
    """The measured values of a question; UserError where they are none."""
    try:
        values = [Decimal(text.strip()) for text in (example.query or "").split(",")]
    except InvalidOperation:
        values = []
    if not values or not all(value.is_finite() and abs(value.adjusted()) < 100 for value in values):
        what = f"record {example.id}" if example.id else "the query"
        raise UserError(
            f"{what}: {(example.query or '')[:60]!r} is no series; it needs numbers with commas: 112,118,132."
        )
    return values


def future(example: Example) -> list[Decimal]:
    """The true values that follow."""
    texts: Any = example.target.get("values")
    places = range(len(texts)) if isinstance(texts, list) else ()
    if not places:
        raise UserError(f"record {example.id}: its values {texts!r} are no list of numbers written as texts.")
    return [
        recorded(Example(example.id, example.split, {"value": texts[place]}), "value") for place in places
    ]


def _quantile(values: Sequence[float], level: float) -> float:
    """Between the two nearest in order, as numpy's default."""
    ordered = sorted(values)
    place = level * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
