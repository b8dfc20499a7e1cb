"""Regression, receipts and forecasts: prompts, answers and scores by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.data.contract import check_contract
from ntil.data.example import Example
from ntil.data.task import Item, Task, aggregate
from ntil.errors import UserError
from tasks.forecast import ENCODINGS, ForecastTask
from tasks.receipt import ReceiptTask
from tasks.regression import RegressionTask


def row(value: str, low: str = "100", high: str = "1000") -> Example:
    return Example("r", "test", {"value": value, "low": low, "high": high}, query="carat 0.23, cut Ideal")


def window(values: list[str], shown: str = "100,200,150,250", **about: Any) -> Example:
    target = {"values": values, "low": "90", "high": "300", "naive_error": 50.0, **about}
    return Example("w", "test", target, query=shown)


def scored(task: Task, cases: list[tuple[Example, str]]) -> dict[str, float | None]:
    items = []
    for example, text in cases:
        parsed = task.parse(text)
        items.append(Item(example, parsed, task.score(parsed, example)))
    return aggregate(task, items)


def test_a_row_and_its_number() -> None:
    task = RegressionTask("{query}; price?", digits=5)
    assert task.prompt(row("326")) == "carat 0.23, cut Ideal; price?"
    assert task.answer(row("326")) == "00326"
    assert RegressionTask(encoding="decimal", places=1).answer(row("18.25")) == "18.2"
    assert RegressionTask(encoding="scientific").answer(row("18823")) == "+188E+2"
    for encoding in ("padded", "decimal", "scientific"):
        check_contract(RegressionTask(encoding=encoding), row("326"))


def test_scores_by_hand() -> None:
    task = RegressionTask(digits=4)
    right, near, far, none = (
        task.score(task.parse(text), row("400")) for text in ("0400", "0300", "0999", "nothing")
    )
    assert right == {
        "relative_error": 0,
        "mae": 0,
        "mae_worst": 0,
        "catastrophic": 0,
        "exact": 1,
        "parsed": 1,
    }
    assert near == {
        "relative_error": 0.25,
        "mae": 100,
        "mae_worst": 100,
        "catastrophic": 0,
        "exact": 0,
        "parsed": 1,
    }
    assert (far["catastrophic"], far["relative_error"]) == (1, pytest.approx(599 / 400))
    # The farthest of the training range from 400 is 1000.
    assert none == {
        "relative_error": 10,
        "mae": None,
        "mae_worst": 600,
        "catastrophic": 1,
        "exact": 0,
        "parsed": 0,
    }
    errors = [task.error(scores) for scores in (right, near, far, none)]
    assert errors == sorted(errors)
    assert errors[0] == 0


def test_metrics_of_a_split_by_hand() -> None:
    task = RegressionTask(digits=4)
    result = scored(task, [(row("200"), "0200"), (row("400"), "0500"), (row("600"), "x")])
    assert result["relative_error"] == pytest.approx((0 + 0.25 + 10) / 3)
    assert result["median_relative_error"] == 0.25
    assert result["mae"] == 50
    assert result["mae_worst"] == pytest.approx((0 + 100 + 500) / 3)
    # 600 without an answer counts as 100, which is farther than 1000; of logarithms, too: ln 6 is more than ln 5/3.
    assert result["r2"] == pytest.approx(1 - (100**2 + 500**2) / (2 * 200**2))
    found, truth = np.log([200, 500, 100]), np.log([200, 400, 600])
    assert result["r2_log"] == pytest.approx(
        1 - ((found - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    )
    assert result["spearman"] == pytest.approx(-0.5)
    assert result["catastrophic"] == pytest.approx(1 / 3)
    assert (result["exact"], result["parsed"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_a_number_that_has_no_logarithm_counts_as_the_worst() -> None:
    task = RegressionTask(encoding="decimal")
    zero, none = ([(row("200"), "200"), (row("600"), text)] for text in ("0", "x"))
    assert scored(task, zero)["r2_log"] == scored(task, none)["r2_log"]
    assert scored(task, [(row("-5", low="-10"), "-5"), (row("600"), "600")])["r2_log"] is None
    assert scored(task, [(row("0", low="0"), "0"), (row("0", low="0"), "1")])["relative_error"] == 5


def test_the_constant_answer_is_the_median() -> None:
    assert RegressionTask(digits=4).constant([row("100"), row("900"), row("210")]) == "0210"
    assert ReceiptTask().constant([row("1.10"), row("9.50")]) == "5.30"


def test_a_receipt() -> None:
    task = ReceiptTask("Total?")
    example = row("12.80", "1.00", "500.00")
    assert task.answer(example) == "12.80"
    check_contract(task, example)
    assert task.score(task.parse("12.80"), example)["exact"] == 1
    assert task.parse("12.8") is None
    assert task.read("The total is RM 12.80.", example, "lenient") == task.truth(example)


@pytest.mark.parametrize("value", ["", "much", "nan", "1E+400", 326, None])
def test_records_without_a_number_are_named(value: Any) -> None:
    for task in (RegressionTask(), ReceiptTask()):
        with pytest.raises(UserError, match=r"record r: its value .* is not a number written as text"):
            task.truth(row(value))


def test_a_number_too_long_for_its_digits_is_named() -> None:
    with pytest.raises(UserError, match=r"record r: 18823 cannot be written as 4 digits.*task\.digits"):
        RegressionTask(digits=4).truth(row("18823"))


def test_series_as_digits() -> None:
    example = window(["200", "300"])
    assert ForecastTask(encoding="fixed", horizon=2, digits=4).prompt(example) == "0100,0200,0150,0250"
    assert ForecastTask(encoding="fixed", horizon=2, digits=4).answer(example) == "0200,0300"
    # LLMTime: offset 100 − 0.3 · 150 = 55; the 95 % quantile of 45, 145, 95, 195 is 187.5.
    joined = ForecastTask("t: {query}", horizon=2)
    assert joined.prompt(example) == "t: 240,773,507,1040"
    assert joined.answer(example) == "773,1307"
    spaced = ForecastTask(encoding="llmtime_spaced", horizon=2, precision=2)
    assert spaced.prompt(example) == "2 4 , 7 7 , 5 1 , 1 0 4"
    assert spaced.answer(example) == "7 7 , 1 3 1"


def test_the_scale_knows_nothing_of_what_follows() -> None:
    task = ForecastTask(horizon=2)
    assert task.prompt(window(["200", "300"])) == task.prompt(window(["9000", "-4"]))


@given(
    st.lists(st.integers(-999, 9999), min_size=4, max_size=12),
    st.lists(st.integers(-999, 9999), min_size=3, max_size=3),
    st.sampled_from(["llmtime", "llmtime_spaced"]),
)
def test_forecasts_come_back_to_the_unit_of_the_series(
    shown: list[int], after: list[int], encoding: str
) -> None:
    task = ForecastTask(encoding=encoding, horizon=3, precision=4)
    example = window([str(value) for value in after], ",".join(map(str, shown)))
    parsed = task.parse(task.answer(example))
    assert parsed == task.truth(example)
    spread = max(shown) - min(shown)
    if (
        spread
        and all(abs(value - min(shown)) < 900 * spread for value in after)
        and max(map(abs, after)) < 900
    ):
        found = task.forecast(
            parsed, example
        )  # a step of the encoding is 10⁻⁴ of at most 1.3 times the range
        assert found == pytest.approx(after, abs=1e-4 * 1.3 * spread)


def test_forecast_scores_by_hand() -> None:
    task = ForecastTask(encoding="fixed", horizon=2, digits=3)
    example = window(["200", "300"])
    right, near, none = (task.score(task.parse(text), example) for text in ("200,300", "100,149", "200"))
    assert right == {
        "mase": 0,
        "smape": 0,
        "mae": 0,
        "mae_worst": 0,
        "catastrophic": 0,
        "exact": 1,
        "parsed": 1,
    }
    assert near["mae"] == near["mae_worst"] == (100 + 151) / 2
    assert near["mase"] == pytest.approx(125.5 / 50)
    assert near["smape"] == pytest.approx((200 / 300 + 302 / 449) / 2)
    assert near["catastrophic"] == 0.5
    # The farthest of 90 to 300: 90 from 200 (110 to 100), 90 from 300.
    assert none == {
        "mase": 160 / 50, "smape": 2, "mae": None, "mae_worst": 160, "catastrophic": 1, "exact": 0, "parsed": 0,
    }  # fmt: skip
    errors = [task.error(scores) for scores in (right, near, none)]
    assert errors == sorted(errors)
    for encoding in ENCODINGS:
        check_contract(ForecastTask(encoding=encoding, horizon=2, digits=4), example)


def test_forecasts_that_cannot_be_asked() -> None:
    with pytest.raises(UserError, match=r"the query: 'soon' is no series; it needs numbers with commas"):
        ForecastTask().prompt(Example("", "predict", {}, query="soon"))
    with pytest.raises(UserError, match=r"record w asks for 2 values, and task\.horizon is 6"):
        ForecastTask().truth(window(["1", "2"]))
    with pytest.raises(UserError, match=r"'llmtimes' is no way to write a series. Did you mean 'llmtime'"):
        ForecastTask(encoding="llmtimes")
    with pytest.raises(UserError, match="record w: -5 cannot be written as 4 digits"):
        ForecastTask(encoding="fixed", horizon=1).truth(window(["-5"]))
