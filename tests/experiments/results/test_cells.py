"""What is written into a cell is read back as it was; what no cell of its kind may hold is refused."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.results.cells import Kind, kinds_of
from experiments.results.rows import SCORE, ErrorRow, MetricRow, RunRow

RUN, METRIC, ERROR = kinds_of(RunRow), kinds_of(MetricRow), kinds_of(ErrorRow)
NAMES = st.lists(st.from_regex(r"\A[a-z_0-9]+\Z"), min_size=1).map(tuple)
VALUES = [
    (RUN["seed"], st.integers(-(10**15), 10**15)),
    (RUN["steps"], st.none() | st.integers(0, 10**15)),
    (RUN["value"], st.none() | st.floats(allow_nan=False)),
    (RUN["dirty"], st.none() | st.booleans()),
    (RUN["device"], st.text()),
    (METRIC["better"], st.sampled_from(["higher", "lower"])),
    (METRIC["decimals"], st.integers(0, 12)),
    (METRIC["ratio"], st.none() | st.tuples(NAMES, NAMES)),
    (SCORE, st.none() | st.floats(allow_nan=False)),
]


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=lambda part: getattr(part, "expected", ""))
def test_a_value_is_read_back(kind: Kind, values: st.SearchStrategy[Any]) -> None:
    @given(values)
    def check(value: Any) -> None:
        found = kind.read(kind.write(value))
        assert found == value
        assert type(found) is type(value)

    check()


def test_nan_is_a_value_of_a_run_and_no_score_of_an_item() -> None:
    assert math.isnan(RUN["value"].read(RUN["value"].write(math.nan)))
    assert SCORE.write(math.nan) == ""


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((RUN["seed"], text) for text in ("", "1.0", "one", "9" * 19, "٣", "1_0", " 1")),
        *((RUN["steps"], text) for text in ("-1", "1.5")),
        *((RUN["value"], text) for text in ("a", "1_0", "٣", "0x1")),
        *((RUN["dirty"], text) for text in ("True", "1")),
        *((RUN["run"], text) for text in ("", "../x", ".x", "a\nb")),
        *((METRIC["better"], text) for text in ("", "Higher", "up")),
        *((METRIC["decimals"], text) for text in ("", "-1", "13", "2.0")),
        *((METRIC["ratio"], text) for text in ("a", "a/b/c")),
        (ERROR["count"], "-1"),
    ],
)  # fmt: skip
def test_what_a_cell_may_not_hold(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError, match=r"(?s)"):
        kind.read(text)
