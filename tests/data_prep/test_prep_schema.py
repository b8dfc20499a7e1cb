from collections import Counter
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest

from data_prep.schema import Choice, Of, Probability, Range, Within, dump
from ntil.errors import UserError
from ntil.settings import load_settings as load


@dataclass(frozen=True)
class Inner:
    width: Annotated[Range, Within(0, 1, "radii")]
    shape: Annotated[Choice, Of(["round", "square"])]


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    chance: Probability
    size: int | None = None


GOOD = {"name": "x", "inner": {"width": [0.25, 0.5], "shape": {"square": 3, "round": 1}}, "chance": 0.5}


def changed(**values):
    return {**GOOD, **values}


def test_loads_and_dumps_one_normal_form():
    outer = load(Outer, GOOD, "data")
    assert outer.inner.width == Range(0.25, 0.5)
    assert outer.inner.shape.options == ("round", "square")
    assert dump(outer)["inner"]["shape"] == {"round": 1.0, "square": 3.0}
    assert load(Outer, dump(outer), "data") == outer
    fixed = load(Outer, changed(inner={"width": 0.5, "shape": "round"}, size=64), "data")
    assert fixed.inner.width == Range(0.5, 0.5)
    assert fixed.size == 64


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            changed(inner={"widht": 0.5, "shape": "round"}),
            r"data\.inner has no setting 'widht'\. Did you mean 'width'",
        ),
        ({"name": "x", "inner": GOOD["inner"]}, "data lacks chance"),
        (changed(inner={"width": [0.5, 0.25], "shape": "round"}), "low end 0.5 is above"),
        (changed(inner={"width": [0.5, 2], "shape": "round"}), "outside 0 to 1 radii"),
        (changed(inner={"width": "wide", "shape": "round"}), r"must be \[low, high\]"),
        (changed(inner={"width": 0.5, "shape": ["sqare"]}), "Did you mean 'square'"),
        (changed(inner={"width": 0.5, "shape": ["round", "round"]}), "twice"),
        (changed(inner={"width": 0.5, "shape": {"round": 0}}), "nothing to choose"),
        (changed(inner={"width": 0.5, "shape": {"round": -1}}), "at least 0"),
        (changed(chance=1.5), "probability from 0 to 1"),
        (changed(chance=True), "probability from 0 to 1"),
        (changed(size=1.5), "must be a whole number"),
        (changed(inner=3), "must be a group of settings"),
    ],
)
def test_refuses_and_names_the_place(data, message):
    with pytest.raises(UserError, match=message):
        load(Outer, data, "data")


def test_draws_follow_the_weights_and_the_ends():
    rng = np.random.default_rng(0)
    choice = Choice.parse({"a": 3, "b": 1, "never": 0}, "x")
    drawn = Counter(choice.draw(rng) for _ in range(4000))
    assert set(drawn) == {"a", "b"}
    assert 0.71 < drawn["a"] / 4000 < 0.79
    numbers = [Range(2, 3).draw(rng) for _ in range(500)]
    assert 2 <= min(numbers) < 2.05
    assert 2.95 < max(numbers) <= 3
    assert not any(Probability(0).draw(rng) for _ in range(100))
    assert all(Probability(1).draw(rng) for _ in range(100))


def test_the_order_of_options_changes_nothing():
    one, other = Choice.parse({"a": 3, "b": 1}, "x"), Choice.parse({"b": 1, "a": 3}, "x")
    assert one == other
