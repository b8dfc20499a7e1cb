"""One answer out of a question's candidates, and what predictions.jsonl says of them.

    beam      the most probable whole answer            sample    the one that was drawn
    median    least E|X − y| of the parsed ones         mean      least E(X − y)² of them       (Task.centre)

A centre is written in the task's format, and read and scored as any answer is. Where a task has none, or one that its format cannot
hold, the most probable value is taken. Candidates that are no answer are left out; where none is one, the most probable text stands.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ntil.data.example import Example
from ntil.data.task import Task
from ntil.errors import UserError
from ntil.evaluation.generate import Generated
from ntil.evaluation.settings import CENTRES
from ntil.metrics.centre import most_probable, weighted_quantile

DIGITS = 6  # of shares that are written down
INTERVALS = {"interval_50": (0.25, 0.75), "interval_90": (0.05, 0.95)}


def check_decoding(task: Task, decode: str) -> None:
    """UserError where a centre could not be written."""
    if decode in CENTRES and getattr(task, "format", None) is None:
        raise UserError(
            f"decode={decode} writes answers in the task's format, and task={task.name} has none; beam and sample need none."
        )


class Decided(NamedTuple):
    """An answer, and for predictions.jsonl how it came about ({} where decoding is greedy)."""

    said: Generated
    told: dict[str, Any]


def decided(task: Task, said: Generated, example: Example, decode: str, reading: str) -> Decided:
    """said: with its candidates; tokens and probabilities stay those of the most probable one."""
    found = said.candidates
    if found is None:
        return Decided(said, {} if decode == "greedy" else {"decode": decode})
    read = {text: task.read(text, example, reading) for text in found.weights}
    parsed = {text: value for text, value in read.items() if value is not None and found.weights[text] > 0}
    weights = [found.weights[text] for text in parsed]
    values = list(parsed.values())
    if values and decode in CENTRES:
        value = task.centre(values, weights, "median" if decode == "median" else "mean")
        text = "" if value is None else task.format.write(value)
        if task.read(text, example, reading) is None:
            text = task.format.write(most_probable(values, weights))
        said = said._replace(text=text)
    told = {
        "candidates": "samples" if found.sampled else "beams",
        "mass": None if found.mass is None else round(found.mass, DIGITS),
        "distinct": _count_distinct(values),
        "unparsed": round(max(0.0, 1.0 - sum(weights)), DIGITS),
        "weights": {text: round(weight, DIGITS) for text, weight in found.weights.items()},
        **intervals(task, parsed, found.weights),
    }
    return Decided(said, {"decode": decode, "distribution": told})


def intervals(task: Task, parsed: Mapping[str, Any], weights: Mapping[str, float]) -> dict[str, list[float]]:
    """The central 50 % and 90 % of the parsed candidates' weight; {} where an answer is no single number.

    parsed: text → value. weights: of these texts at least.
    """
    numbers = [task.as_number(value) for value in parsed.values()]
    if not numbers or any(number is None for number in numbers):
        return {}
    shares = [weights[text] for text in parsed]
    return {
        name: [_float(weighted_quantile(numbers, shares, share)) for share in ends]
        for name, ends in INTERVALS.items()
    }


def _float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:  # of digits beyond 1e308
        return float("inf") if number > 0 else float("-inf")


def _count_distinct(values: list[Any]) -> int:
    return sum(value not in values[:place] for place, value in enumerate(values))
