"""A task that breaks its contract is refused by name before anything is trained."""

from typing import Any

import pytest

from ntil.data.answers import AnswerFormat
from ntil.data.contract import check_contract
from ntil.data.example import Example
from ntil.data.magnitude import Magnitude
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


class Words(AnswerFormat[str]):
    """A format with a fault to choose."""

    def __init__(self, pattern: str | None = "[0-9]+", reads: str = "") -> None:
        self._pattern, self.reads = pattern, reads

    @property
    def pattern(self) -> str | None:
        return self._pattern

    def write(self, value: str) -> str:
        return value

    def read(self, text: str) -> str:
        return self.reads or text


class Digits(Words):
    def read(self, text: str) -> Any:
        return text if text.isdigit() else None


class Formatted(Task):
    """Keeps it with a format, and with all defaults."""

    name, version, headline = "formatted", 1, "right"
    metrics = {"right": Metric("right", "higher", "share")}  # noqa: RUF012
    format: AnswerFormat[Any] = Words()

    def prompt(self, example: Example) -> str:
        return example.query or ""

    def truth(self, example: Example) -> str:
        return str(example.target["answer"])

    def score(self, parsed: Any, example: Example) -> dict[str, float | None]:
        return {"right": float(parsed == self.truth(example))}


def test_defaults_are_enough() -> None:
    task = Formatted()
    check_contract(task, EXAMPLE)
    assert (task.error({"right": 1.0}), task.error({"right": 0.0})) == (0, 1)
    assert task.error({"right": 0.0, "parsed": 0.0}) == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": None}, "it has no format; give it an ntil.data.answers.AnswerFormat"),
        ({"truth": Task.truth}, r"does not say what is true; give it truth\(example\)"),
        ({"format": Words(reads="13")}, "its format writes '12' as '12' and reads '13'"),
        ({"format": Words("[a-z]+")}, r"pattern '\[a-z\]\+' does not match '12'"),
        (
            {"format": Digits(), "centre": lambda *_: "far"},
            r"its centre \(kind median\) of '12' alone is 'far', written 'far', which parse\(\) cannot read",
        ),
        ({"format": Words("(1")}, r"pattern '\(1' is no regular expression"),
        ({"name": ""}, "its name is ''; it needs a text: name = \"thermometer\""),
        ({"version": "1"}, "its version is '1'; it needs a whole number"),
        ({"metrics": {}}, "its metrics is {}; it needs a mapping"),
        ({"metrics": {"right": 1}}, "each needs a name and an ntil.data.task.Metric"),
        ({"metrics": {"right": Metric("", "higher", "share")}}, "right needs a label"),
        ({"metrics": {"right": Metric("right", "higher", "share", digits=40)}}, "digits=40, not 0 to 12"),
        (
            {"metrics": {"right": Metric("right", "higher", "", ratio=(("a",), ()))}},
            "needs two lists of names",
        ),
        (
            {"metrics": {"right": Metric("right", "higher", "", ratio=(("a/b",), ("c",)))}},
            "without \\+ and /",
        ),
        ({"groups": "set"}, "its groups are 'set'; they need a list of texts"),
        (
            {"number_names": ("hour", "minute")},
            "number_names are hour, minute, and the answer '12' holds 1 numbers",
        ),
        ({"max_new_tokens": 0}, "its max_new_tokens is 0"),
        ({"magnitude": "minutes"}, "its magnitude is 'minutes'"),
        (
            {"magnitude": Magnitude("x", (0, 1), "none", lambda scores: scores["gap"])},
            "fails on record a-1: KeyError: 'gap'",
        ),
        (
            {"magnitude": Magnitude("x", (0, 1), "none", lambda _: "far")},
            "measures 'far' for the true answer",
        ),  # type: ignore[arg-type,return-value]
        (
            {"score": lambda *_: {"right": 1.0, "item": 3.0}},
            "has the name 'item', which is a column of results/scores/",
        ),
        ({"score": lambda *_: {"right": 1.0, "gap": "far"}}, "gives 'far' for gap"),
    ],
)
def test_each_breach_of_a_formatted_task_is_named(changes: dict[str, Any], says: str) -> None:
    broken = type("Broken", (Formatted,), changes)()
    with pytest.raises(UserError, match=says) as refused:
        check_contract(broken, EXAMPLE)
    assert "Broken" in str(refused.value)


def test_a_class_that_says_nothing_is_told_what_it_needs() -> None:
    for attribute in ("name", "version", "metrics", "headline"):
        silent = type(
            "Silent", (Task,), {key: value for key, value in vars(Formatted).items() if key != attribute}
        )
        with pytest.raises(UserError, match=f"its {attribute} is None; it needs"):
            check_contract(silent(), EXAMPLE)
