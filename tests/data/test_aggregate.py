"""Means, ratios of sums and metrics of a whole split."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from ntil.data.example import Example
from ntil.data.task import Item, Metric, Task, aggregate


class Detection(Task):
    """Answers are how many were found; of three targets each."""

    name: ClassVar[str] = "detection"
    version: ClassVar[int] = 1
    headline: ClassVar[str] = "recall"
    metrics: ClassVar[dict[str, Metric]] = {
        "found": Metric("found", "higher", "items"),
        "recall": Metric("recall", "higher", "share", ratio=(("found",), ("targets",))),
        "h_mean": Metric("H-mean", "higher", "share", ratio=(("found", "found"), ("targets", "detections"))),
        "answered": Metric("answered", "higher", "items", of_split=True),
    }

    def prompt(self, example: Example) -> str:
        return "?"

    def answer(self, example: Example) -> str:
        return str(example.target["found"])

    def parse(self, text: str) -> int | None:
        return int(text) if text.isdigit() else None

    def score(self, parsed: Any | None, example: Example) -> dict[str, float | None]:
        return {"found": parsed, "targets": 3, "detections": 2 * (parsed or 0)}

    def split_metrics(self, items: Sequence[Item]) -> dict[str, float | None]:
        return {"answered": float(sum(item.parsed is not None for item in items))}


def item(found: int | None, **meta: Any) -> Item:
    example = Example("x", "test", {"found": found}, meta=meta)
    return Item(example, found, Detection().score(found, example))


def test_ratios_sum_over_the_items_before_they_divide() -> None:
    result = aggregate(Detection(), [item(1), item(3), item(None)])
    assert result["found"] == 2  # the unanswered one has no say
    assert result["recall"] == pytest.approx(4 / 9)
    assert result["h_mean"] == pytest.approx(8 / (9 + 8))
    assert result["answered"] == 2


def test_nothing_to_divide_by_is_no_score() -> None:
    assert aggregate(Detection(), []) == {"found": None, "recall": None, "h_mean": None, "answered": 0.0}


def test_the_constant_answer_is_trainings_most_frequent() -> None:
    train = [Example("x", "train", {"found": found}) for found in (1, 2, 2, 3)]
    assert Detection().constant(train) == "2"
