"""A chart's data, a question about it, and the answer, which follows from the data alone (`solve`)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from data_prep.charts.config import ChartsConfig

LABELS = "ABCDEFGH"
PERCENT = 5  # a pie's sectors are multiples of it
RULER = 10.0  # cm
# (kind, ask) → short and natural wording; {a} and {b} are labels of items
WORDS = {
    ("bar", "value"): ("bar {a}?", "What is the value of bar {a}?"),
    ("bar", "largest"): ("largest bar?", "Which bar is the highest?"),
    ("bar", "difference"): ("{a}-{b}?", "By how much does bar {a} differ from bar {b}?"),
    ("bar", "total"): ("sum?", "What is the sum of all bars?"),
    ("line", "value"): ("point {a}?", "What value does the line take at {a}?"),
    ("line", "largest"): ("peak?", "At which point is the line the highest?"),
    ("line", "difference"): ("{a}-{b}?", "By how much do the values at {a} and {b} differ?"),
    ("pie", "value"): ("sector {a}?", "What share of the pie is sector {a}?"),
    ("pie", "largest"): ("largest?", "Which sector is the largest?"),
    ("table", "value"): ("row {a}?", "What is the value in row {a}?"),
    ("table", "total"): ("sum?", "What is the sum of the values in the table?"),
    ("table", "largest"): ("largest?", "Which row holds the largest value?"),
    ("ruler", "value"): ("length?", "How long is the bar above the ruler?"),
    ("gauge", "value"): ("gauge?", "What does the gauge read?"),
    ("rectangle", "area"): ("area?", "What is the area of the rectangle?"),
    ("rectangle", "perimeter"): ("perimeter?", "What is the perimeter of the rectangle?"),
    ("dots", "count"): ("dots?", "How many dots are in the picture?"),
}
UNITS = {"ruler": "cm", "pie": "%"}


@dataclass(frozen=True)
class Question:
    """`data` is all that the picture shows; `items` are the labels that the question names."""

    kind: str
    ask: str
    data: dict[str, Any]
    items: tuple[str, ...]
    choices: tuple[str, ...] | None

    @property
    def answer(self) -> str:
        return solve(self.kind, self.ask, self.data, self.items)

    @property
    def precision(self) -> int | None:
        return 1 if "." in self.answer else None


def solve(kind: str, ask: str, data: dict[str, Any], items: tuple[str, ...]) -> str:
    """The answer as a record writes it."""
    if kind == "rectangle":
        width, height = data["width"], data["height"]
        return str(width * height if ask == "area" else 2 * (width + height))
    if kind == "dots":
        return str(len(data["points"]))
    if kind in ("ruler", "gauge"):
        return f"{data['value']:.1f}" if data["decimal"] else str(round(data["value"]))
    values: dict[str, int] = data["values"]
    if ask == "largest":
        return max(values, key=lambda label: values[label])
    if ask == "total":
        return str(sum(values.values()))
    if ask == "difference":
        return str(abs(values[items[0]] - values[items[1]]))
    return str(values[items[0]])


def draw_question(config: ChartsConfig, rng: np.random.Generator) -> Question:
    kind, ask = config.questions.draw(rng).split(" ")
    data = _data(config, kind, rng)
    labels = tuple(data.get("values", ()))
    needed = {"value": 1, "difference": 2}.get(ask, 0) if labels else 0
    items = tuple(str(label) for label in rng.permutation(list(labels))[:needed])
    return Question(kind, ask, data, items, labels if ask == "largest" else None)


def query(question: Question, wording: str) -> str:
    short, natural = WORDS[question.kind, question.ask]
    names = dict(zip("ab", question.items, strict=False))
    return (short if wording == "short" else natural).format(**names)


def _data(config: ChartsConfig, kind: str, rng: np.random.Generator) -> dict[str, Any]:
    if kind == "ruler":
        steps = round(RULER / config.ruler_step)
        return {"value": round(int(rng.integers(1, steps + 1)) * config.ruler_step, 1), "decimal": True}
    if kind == "gauge":
        steps = round(100 / config.gauge_step)
        value = int(rng.integers(0, steps + 1)) * config.gauge_step
        return {"value": value, "decimal": not float(config.gauge_step).is_integer()}
    if kind == "rectangle":
        return {"width": int(rng.integers(2, 21)), "height": int(rng.integers(2, 21))}
    if kind == "dots":
        return {"points": _scattered(int(rng.integers(1, 10)), rng)}
    count = int(rng.integers(int(config.items.low), int(config.items.high) + 1))
    if kind == "pie":
        cuts = np.sort(rng.choice(np.arange(1, 100 // PERCENT), size=count - 1, replace=False))
        values = np.diff([0, *cuts, 100 // PERCENT]) * PERCENT
        values = _one_largest(values, PERCENT, keep_sum=True)
    else:
        values = _one_largest(rng.integers(1, config.largest_value + 1, size=count), 1, keep_sum=False)
        values = np.minimum(values, config.largest_value + 1)
    return {"values": {LABELS[i]: int(value) for i, value in enumerate(values)}}


def _one_largest(values: np.ndarray, step: int, keep_sum: bool) -> np.ndarray:
    """Raise the first of equal maxima by a step, so that "the largest" is one; a sum is kept at another's cost."""
    values = values.copy()
    most = values.max()
    if (values == most).sum() > 1:
        first, *_, last = np.flatnonzero(values == most)
        values[first] += step
        if keep_sum:
            values[last] -= step
    return values


def _scattered(count: int, rng: np.random.Generator) -> list[list[float]]:
    """Points at least 0.14 picture sides apart, on a jittered 5 × 5 grid."""
    cells = rng.permutation(25)[:count]
    jitter = rng.uniform(-0.02, 0.02, size=(count, 2))
    return [
        [round(0.14 + 0.18 * (int(c) % 5) + j[0], 4), round(0.14 + 0.18 * (int(c) // 5) + j[1], 4)]
        for c, j in zip(cells, jitter.tolist(), strict=True)
    ]
