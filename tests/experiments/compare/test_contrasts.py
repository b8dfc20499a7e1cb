"""What several rows of a table say together: main effects of factors, and all groups."""

import csv
from pathlib import Path

import pytest
from run_factory import exact, write_run
from table_text import make, set_table, table_after

from experiments.results.collect import collect
from experiments.tables import main

FACTORS = {"A": ["a", "ab"], "B": ["b", "ab"]}


def factorial(outputs: Path, **right: int) -> None:
    """Rows of a factorial by the names of their factors, right on so many of 100 items; two seeds."""
    for loss, count in right.items():
        for seed in (0, 1):
            write_run(outputs, exact(*[1.0] * count, *[0.0] * (100 - count)), loss=loss, seed=seed)


def test_main_effects_are_means_over_all_rows(outputs: Path, results: Path, conf: Path) -> None:
    factorial(outputs, none=40, a=60, b=40, ab=64)
    set_table(conf, "none,a,b,ab", baseline="none", effects=FACTORS)
    text = make(outputs, results, conf, "demo")
    effects = table_after(text, "Main effects on test")
    assert effects["A"][0].startswith("+0.220 [+0.1")  # (60 + 64) / 2 − (40 + 40) / 2
    assert effects["A"][0].endswith("] better")
    assert effects["B"][0].startswith("+0.020 [")  # (40 + 64) / 2 − (40 + 60) / 2
    assert "- Main effects: the mean over all rows that have the factor" in text
    with (results / "tables" / "demo.csv").open(newline="") as file:
        lines = {row["row"]: row for row in csv.DictReader(file)}
    assert float(lines["effect of A"]["difference"]) == pytest.approx(0.22)
    assert (lines["effect of A"]["mean"], lines["effect of A"]["paired_seeds"]) == ("", "2")


def test_an_effect_of_an_unknown_row_is_named(
    outputs: Path, results: Path, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factorial(outputs, none=1, a=2)
    collect(outputs, results)
    set_table(conf, "none,a", baseline="none", effects={"A": ["aa"]})
    assert main(["--results", str(results)], conf) == 2
    assert "name the row 'aa', which its grid does not have. Did you mean 'a'?" in capsys.readouterr().err


def test_groups_are_also_told_together(outputs: Path, results: Path, conf: Path) -> None:
    for model, ce, ntil in (("tiny", 50, 60), ("tiny_gemma", 70, 72)):
        for loss, right in (("ce", ce), ("ntil", ntil)):
            for seed in (0, 1):
                scores = exact(*[1.0] * right, *[0.0] * (100 - right))
                write_run(outputs, scores, loss=loss, seed=seed, model=model)
    title = "Difference to CE over both groups on test"
    text = make(outputs, results, conf, "demo")
    together = table_after(text, title)
    assert list(together) == ["", "NTIL"]
    assert together["NTIL"][0].startswith("+0.060 [")  # (60 − 50 + 72 − 70) / 2
    assert together["NTIL"][0].endswith("] better")
    assert "- Over all groups: the mean over the groups minus CE's mean" in text
    with (results / "tables" / "demo.csv").open(newline="") as file:
        (line,) = [row for row in csv.DictReader(file) if row["group"] == "all"]
    assert (line["row"], line["paired_seeds"]) == ("ntil", "2")
    assert float(line["difference"]) == pytest.approx(0.06)


def test_groups_with_other_seeds_are_not_told_together(outputs: Path, results: Path, conf: Path) -> None:
    for model, seeds in (("tiny", 2), ("tiny_gemma", 1)):
        for loss, score in (("ce", 0), ("ntil", 1)):
            for seed in range(seeds):
                write_run(outputs, exact(score, 1), loss=loss, seed=seed, model=model)
    assert "over both" not in make(outputs, results, conf, "demo")


def test_groups_without_the_baseline_are_not_told_together(outputs: Path, results: Path, conf: Path) -> None:
    set_table(conf, "ce,emd,ntil")  # emd has as many runs as the baseline: none
    for model in ("tiny", "tiny_gemma"):
        write_run(outputs, exact(1, 0), loss="ntil", model=model)
    assert "over both" not in make(outputs, results, conf, "demo").lower()


@pytest.mark.parametrize("baseline", ["a", "ab"])
def test_the_baseline_has_no_say_in_main_effects(
    outputs: Path, results: Path, conf: Path, baseline: str
) -> None:
    factorial(outputs, none=40, a=60, b=40, ab=64)
    set_table(conf, "none,a,b,ab", baseline=baseline, effects=FACTORS)
    effects = table_after(make(outputs, results, conf, "demo"), "Main effects on test")
    assert (effects["A"][0][:6], effects["B"][0][:6]) == ("+0.220", "+0.020")


def test_half_a_factorial_has_no_main_effects(outputs: Path, results: Path, conf: Path) -> None:
    factorial(outputs, none=40, a=60, ab=64)
    set_table(conf, "none,a,b,ab", baseline="none", effects=FACTORS)
    assert "Main effects" not in make(outputs, results, conf, "demo")
