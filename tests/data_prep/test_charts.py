"""Generated charts: the answer follows from the data in the record, the picture shows the data, same bytes."""

from typing import Any

import numpy as np
import pytest

from data_prep.charts.build import drawn, item
from data_prep.charts.config import ASKS, QUESTIONS, ChartsConfig
from data_prep.charts.draw import render
from data_prep.charts.question import PERCENT, Question, draw_question
from data_prep.configs import read, with_overrides
from data_prep.generated import make
from data_prep.registry import request
from ntil.data.example import Example
from ntil.errors import UserError
from tasks.mathvista import MathVistaTask

LEVELS = ("easy", "medium", "hard")
TASK = MathVistaTask()


def config(level: str, **changes: object) -> ChartsConfig:
    return request(with_overrides(read(f"charts_{level}"), list(changes.items()))).config


def expected(example: Example) -> Any:
    """The answer from the record's data, worked out anew."""
    data, kind, ask, items = (example.meta[key] for key in ("data", "kind", "task", "items"))
    if kind == "dots":
        return len(data["points"])
    if kind == "rectangle":
        return {
            "area": data["width"] * data["height"],
            "perimeter": data["width"] + data["height"] + data["width"] + data["height"],
        }[ask]
    if kind in ("ruler", "gauge"):
        return data["value"]
    values = data["values"]
    if ask == "largest":
        best = sorted(values, key=values.get)[-2:]
        assert len(best) == 1 or values[best[0]] < values[best[1]]
        return best[-1]
    if ask == "total":
        return sum(values[label] for label in values)
    if ask == "difference":
        return abs(values[items[0]] - values[items[1]])
    return values[items[0]]


def check(level: str, generated: ChartsConfig, index: int) -> None:
    question = draw_question(generated, generated.stream("train", index))
    made = item(generated, question)
    example = Example(str(index), "train", made.target, meta=made.meta, query=made.query)
    truth, target = expected(example), example.target
    if target["question_type"] == "multi_choice":
        assert target["answer"] == truth
        assert target["answer"] in target["choices"]
    else:
        assert float(target["answer"]) == pytest.approx(truth, abs=1e-9)
    values = example.meta["data"].get("values", {})
    if question.kind == "pie":
        assert sum(values.values()) == 100
        assert all(value > 0 and value % PERCENT == 0 for value in values.values())
    elif values:
        assert all(1 <= value <= generated.largest_value + 1 for value in values.values())
    for name in question.items:
        assert name in (example.query or "")
    scores = TASK.score(TASK.parse(TASK.answer(example)), example)
    assert scores["accuracy"] == 1, (example.query, target, level)


@pytest.mark.parametrize("level", LEVELS)
def test_answers_follow_from_the_data(level: str) -> None:
    generated = config(level)
    for index in range(300):
        check(level, generated, index)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_ten_thousand_answers_follow_from_the_data(level: str) -> None:
    generated = config(level)
    for index in range(10_000):
        check(level, generated, index)


def shown(kind: str, data: dict[str, Any], seed: int = 0) -> np.ndarray:
    question = Question(kind, ASKS[kind][0], data, ("A",), None)
    return np.asarray(render(question, 20, 128, np.random.default_rng(seed))).astype(int)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("bar", {"values": {"A": 3, "B": 9}}, {"values": {"A": 4, "B": 9}}),
        ("line", {"values": {"A": 3, "B": 9}}, {"values": {"A": 4, "B": 9}}),
        ("pie", {"values": {"A": 30, "B": 70}}, {"values": {"A": 35, "B": 65}}),
        ("table", {"values": {"A": 3, "B": 9}}, {"values": {"A": 4, "B": 9}}),
        ("ruler", {"value": 3.0, "decimal": True}, {"value": 3.5, "decimal": True}),
        ("gauge", {"value": 30, "decimal": False}, {"value": 32, "decimal": False}),
        ("rectangle", {"width": 3, "height": 9}, {"width": 4, "height": 9}),
        ("dots", {"points": [[0.3, 0.3]]}, {"points": [[0.3, 0.3], [0.7, 0.7]]}),
    ],
)
def test_another_value_is_another_picture(kind: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (shown(kind, one) == shown(kind, one)).all()
    assert (np.abs(shown(kind, one) - shown(kind, other)).max(-1) > 60).sum() >= 8
    assert (shown(kind, one) != shown(kind, one, seed=1)).any()


def test_the_bar_on_the_ruler_has_its_length() -> None:
    """Twice as long for twice the centimetres."""
    widths = []
    for value in (2.0, 4.0, 8.0):
        picture = shown("ruler", {"value": value, "decimal": True})
        coloured = (np.abs(picture - picture[0, 0]).max(-1) > 40).sum(1)
        widths.append(coloured[coloured > 0].min())  # the ruler itself is wider than any bar
    assert widths[1] == pytest.approx(2 * widths[0], abs=2)
    assert widths[2] == pytest.approx(4 * widths[0], abs=4)


def test_every_question_has_words_and_a_drawing() -> None:
    for name in QUESTIONS:
        generated = config("hard", questions=[name], size=64)
        example = make(drawn, generated, ("train", 0)).example
        assert example.query
        assert "{" not in example.query
        assert make(drawn, generated, ("train", 0)).image == make(drawn, generated, ("train", 0)).image


def test_the_same_bytes_for_any_number_of_workers(tmp_path) -> None:
    data = with_overrides(read("charts_easy"), [("splits", {"train": 130, "val": 2, "test": 20})])
    manifests = [(request(data).build(tmp_path / str(n), n) / "manifest.json").read_bytes() for n in (1, 2)]
    assert manifests[0] == manifests[1]


def test_mistakes_are_explained() -> None:
    for changes, message in (
        ({"questions": ["bar area"]}, "no option 'bar area'"),
        ({"wording": "long"}, "short or natural"),
        ({"splits": {"tests": 2}}, "Did you mean 'test'"),
    ):
        with pytest.raises(UserError, match=message):
            config("easy", **changes)
