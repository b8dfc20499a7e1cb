"""Scores and curves that are not finite, or beyond all axes: shown as what they are, and nothing stops at them."""

from pathlib import Path

import pytest
import yaml
from run_factory import exact, write_run

from experiments.collect import main as collect
from experiments.compare.groups import setting_value
from experiments.compare.statistics import Sums, contrast, summarise
from experiments.overview import main as overview
from experiments.plots import main as plots
from experiments.report.__main__ import main as report
from experiments.results.store import Store
from experiments.tables import main as tables
from experiments.write.grids import number, summary_text

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("value", "text"), [(INF, "∞"), (-INF, "−∞"), (NAN, "nan"), (1e308, f"{1e308:.3f}"), (0.5, "0.500")]
)
def test_a_number_is_shown_as_what_it_is(value: float, text: str) -> None:
    assert number(value, 3) == text


def test_means_of_what_is_not_finite() -> None:
    assert summary_text(summarise([INF, 0.5]), 3) == "∞ ± nan (2)"
    assert summary_text(summarise([NAN]), 3) == "nan ± – (1)"


def test_an_infinite_score_has_no_difference() -> None:
    import numpy as np

    scores = np.array([[INF, 1.0]])
    assert np.isinf(Sums.of(scores).ratio()).all()
    assert contrast([scores], [np.array([[0.0, 1.0]])], "higher") is None


@pytest.mark.parametrize("bad", [INF, -INF, NAN])
def test_a_run_of_a_diverged_model_is_shown(
    outputs: Path, results: Path, conf: Path, bad: float, capsys: pytest.CaptureFixture[str]
) -> None:
    curves = [
        {"step": step, "ce": value, "val/exact": value}
        for step, value in enumerate((1.0, bad, 1e308, 0.5), start=1)
    ]
    for seed in (0, 1):
        write_run(outputs, exact(1, 0), seed=seed, curves=curves)
        write_run(outputs, exact(1, bad), loss="ntil", seed=seed, curves=[{"step": 1, "ce": bad}])
    words = ["--results", str(results)]
    assert collect(["--outputs", str(outputs), *words]) == 0
    assert "left out" not in capsys.readouterr().err
    assert {repr(row.value) for row in Store(results).runs() if row.loss == "ntil"} == {repr(bad)}
    assert (tables(words, conf), plots(words, conf), report(words, conf)) == (0, 0, 0)
    assert overview(words, conf, results / "README.md") == 0
    table = (results / "tables" / "demo.md").read_text()
    assert f"| NTIL | {number(bad, 3)} ± nan (2) |" in table
    assert "**0.500 ± 0.000 (2)**" not in table  # the only known mean is no best one
    assert f"{number(bad, 3)} ± nan (2)" in (results / "index.html").read_text()


def test_a_setting_that_is_no_number_is_left_out_of_the_figure(
    outputs: Path, results: Path, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = conf / "experiment" / "demo.yaml"
    preset = yaml.safe_load(path.read_text())
    preset["table"]["along"] = "trainer.train_examples"
    path.write_text("# @package _global_\n" + yaml.safe_dump(preset))
    for count in ("100", "1000", "many", "1e400", "-5", "0"):
        for loss in ("ce", "ntil"):
            write_run(outputs, exact(1, 0), loss=loss, overrides=[f"trainer.train_examples={count}"])
    write_run(outputs, exact(1, 0))
    words = ["--results", str(results)]
    assert collect(["--outputs", str(outputs), *words]) == 0
    assert plots(words, conf) == 0
    said = capsys.readouterr().err
    assert said.count("left out of the figure") == 9
    assert "trainer.train_examples is 'many'" in said
    assert (results / "figures" / "demo_gain.svg").exists()


def test_settings_on_an_axis() -> None:
    assert [setting_value(text) for text in ("5", "0.1", "default", "nan", "inf", "-1", "0", "")] == [
        5.0,
        0.1,
        *[None] * 6,
    ]
