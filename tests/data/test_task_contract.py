"""A task that breaks its contract is refused by name before anything is trained."""

from typing import Any

import pytest

from ntil.data.contract import check_contract
from ntil.data.example import Example
from ntil.data.task import Metric, Task
from ntil.errors import UserError
from tasks.arithmetic import ArithmeticTask

EXAMPLE = Example("a-1", "train", {"answer": "12"}, query="5+7=")


class Whole(Task):
    """Keeps it."""

    name, version, headline = "whole", 1, "right"
    metrics = {  # noqa: RUF012
        "right": Metric("right", "higher", "share"),
        "share": Metric("share", "higher", "share", ratio=(("hits",), ("found",))),
        "all": Metric("all", "higher", "share", of_split=True),
    }

    def prompt(self, example: Example) -> str:
        return example.query or ""

    def answer(self, example: Example) -> str:
        return str(example.target["answer"])

    def parse(self, text: str) -> Any:
        return text or None

    def score(self, parsed: Any, example: Example) -> dict[str, float | None]:
        return {"right": float(parsed == self.answer(example)), "hits": 1.0, "found": 2.0}

    def split_metrics(self, items: Any) -> dict[str, float | None]:
        return {"all": 1.0}

    def error(self, scores: Any) -> float:
        return 1.0 - scores["right"]


def raises(self: Any, *_: Any) -> Any:
    raise KeyError("hour")


def test_tasks_that_keep_it_pass() -> None:
    check_contract(Whole(), EXAMPLE)
    check_contract(ArithmeticTask(), EXAMPLE)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"error": Task.error, "headline": "share"}, "does not rank its errors"),
        ({"error": lambda *_: None}, r"error\(\) gives None"),
        ({"headline": "exact"}, "'exact' is none of its metrics"),
        ({"parse": lambda *_: None}, r"parse\(\) cannot read what answer\(\) writes for record a-1: '12'"),
        ({"answer": lambda *_: 12}, r"answer\(\) gives 12 for record a-1"),
        ({"prompt": lambda *_: None}, r"prompt\(\) gives None"),
        ({"score": lambda *_: {"right": 1.0}}, r"score\(\) of the true answer lacks found, hits"),
        (
            {"score": lambda _, parsed, e: {"hits": 1, "found": 1, **({"right": 1} if parsed else {})}},
            "of an answer that is none lacks right",
        ),
        ({"score": lambda *_: {"right": "1", "hits": 1, "found": 1}}, "gives '1' for right"),
        ({"score": lambda *_: {"right": float("nan"), "hits": 1, "found": 1}}, "gives nan for right"),
        ({"error": lambda _, scores: scores["right"]}, "ranks the true answer of record a-1 behind"),
        ({"constant": lambda *_: None}, r"constant\(\) gives None"),
        ({"metrics": {"right": Metric("right", "up", "share")}}, "right is better when 'up'"),
        ({"split_metrics": lambda *_: {}}, r"split_metrics\(\) lacks all"),
        ({"answer": raises}, "fails on record a-1: KeyError: 'hour'"),
    ],
)
def test_each_breach_is_named(changes: dict[str, Any], says: str) -> None:
    broken = type("Broken", (Whole,), changes)()
    with pytest.raises(UserError, match=says) as refused:
        check_contract(broken, EXAMPLE)
    assert "Broken" in str(refused.value)
