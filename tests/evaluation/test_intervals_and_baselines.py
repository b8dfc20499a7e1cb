"""Bootstrap intervals, baselines and groups, on clocks whose answers we make up."""

import numpy as np
import pytest

from ntil.data.example import Example
from ntil.data.task import Item, aggregate
from ntil.evaluation.baselines import baselines
from ntil.evaluation.evaluate import by_group
from ntil.evaluation.intervals import REPLICATES, intervals
from ntil.metrics.resampling import LEVEL
from tasks.clock import ClockTask

TASK = ClockTask()


def clock(hour: int, minute: int, split: str = "test", **meta: str) -> Example:
    return Example("x", split, {"hour": hour, "minute": minute}, meta=meta)


def answered(example: Example, text: str) -> Item:
    parsed = TASK.parse(text)
    return Item(example, parsed, TASK.score(parsed, example))


def items(right: int, wrong: int, unparsed: int = 0) -> list[Item]:
    answers = ["3:25"] * right + ["3:35"] * wrong + ["?"] * unparsed
    return [answered(clock(3, 25), text) for text in answers]


def test_an_interval_agrees_with_the_binomial_it_estimates() -> None:
    low, high = intervals(TASK, items(300, 100))["exact"] or (0, 0)
    drawn = np.random.default_rng(1).binomial(400, 0.75, size=100_000) / 400
    expected = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    assert [low, high] == pytest.approx(expected, abs=0.006)
    assert low < 0.75 < high


def test_no_spread_no_interval() -> None:
    assert intervals(TASK, items(20, 0))["exact"] == [1, 1]
    assert intervals(TASK, items(0, 0, unparsed=5))["gap_plain"] is None


def test_intervals_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    once = intervals(TASK, items(30, 10))
    monkeypatch.setattr("ntil.metrics.resampling.CHUNK", 40 * (REPLICATES // 7))
    assert intervals(TASK, items(30, 10)) == once


def test_baselines_know_the_training_set_alone() -> None:
    train = [clock(6, 0, "train")] * 3 + [clock(9, 30, "train")]
    scored = baselines(TASK, train, [clock(6, 0), clock(6, 10), clock(1, 1), clock(6, 0)])
    assert scored["constant"]["exact"] == 0.5
    assert scored["constant"]["parsed"] == 1
    assert (
        scored["random"]
        == baselines(TASK, train, [clock(6, 0), clock(6, 10), clock(1, 1), clock(6, 0)])["random"]
    )
    only = baselines(TASK, [clock(6, 0, "train")], [clock(6, 0)])
    assert only["constant"] == only["random"] == aggregate(TASK, [answered(clock(6, 0), "6:00")])


def test_groups_are_scored_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClockTask, "groups", ("shape", "missing"))
    shown = [answered(clock(3, 0, shape="round"), "3:00"), answered(clock(4, 0, shape="square"), "3:00")]
    found = by_group(TASK, shown)
    assert list(found) == ["shape", "missing"]
    assert {value: group["metrics"]["exact"] for value, group in found["shape"].items()} == {
        "round": 1,
        "square": 0,
    }
    assert found["shape"]["round"]["count"] == 1
    assert found["missing"] == {}
