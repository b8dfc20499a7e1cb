"""The overview of CE, EMD and NTIL, on runs whose differences are known."""

from pathlib import Path

import pytest
from run_factory import exact, write_run

from experiments.compare.comparison import Comparison, compare
from experiments.compare.settings import PAIRS, Setting, said, settings
from experiments.compare.spec import TableSpec
from experiments.overview import README, main
from experiments.results.collect import collect
from experiments.results.store import Store
from experiments.write.overview import PAGE, page, statement, with_statement
from experiments.write.tabulate import tabulate
from ntil.checkout import ROOT
from ntil.errors import UserError

MARKS = "before\n<!-- overview:begin -->\nold\n<!-- overview:end -->\nafter\n"


def write(
    outputs: Path, seeds: int, *, losses: tuple[str, ...] = ("ce", "emd", "ntil"), word: str = ""
) -> None:
    """Right on 10, 30 and 30 of 40 items with CE, EMD and NTIL (and every other loss)."""
    for loss in losses:
        right = 10 if loss == "ce" else 30
        for seed in range(seeds):
            scores = exact(*(float(index < right) for index in range(40)))
            write_run(outputs, scores, loss=loss, seed=seed, overrides=[word] if word else [])


def collected(outputs: Path, results: Path) -> Store:
    collect(outputs, results)
    return Store(results)


@pytest.fixture
def found(outputs: Path, results: Path, conf: Path) -> list[Setting]:
    """Three seeds with 250 training examples, two with 500."""
    write(outputs, 3, word="trainer.train_examples=250")
    write(outputs, 2, word="trainer.train_examples=500")
    return settings(collected(outputs, results), conf)


def test_differences_are_those_of_each_pair(found: list[Setting]) -> None:
    first = found[0]
    assert first.name == "A demonstration: 250 training examples"
    assert first.seeds == 3
    found_by_pair = {pair: first.difference(pair) for pair in PAIRS}
    means = {pair: (round(d.mean, 3), d.verdict) for pair, d in found_by_pair.items()}
    assert means == {
        ("ntil", "ce"): (0.5, "better"),
        ("ntil", "emd"): (0.0, "not distinguishable"),
        ("emd", "ce"): (0.5, "better"),
    }


def test_the_statement_counts_settings_of_three_seeds(found: list[Setting]) -> None:
    lines = statement(found, "tables")
    assert lines[0] == (
        "- **NTIL against CE**, 1 setting: better in 1, worse in 0, not distinguishable in 0. "
        "By every metric and split of their tables: better in 1, worse in 0 of 1."
    )
    assert lines[1].startswith(
        "  - [A demonstration: 250 training examples](tables/demo.md), exact ↑: 0.250 → 0.750, +0.500 [+0.3"
    )
    assert lines[2].startswith(
        "- **NTIL against EMD**, 1 setting: better in 0, worse in 0, not distinguishable in 1. "
    )
    assert "500 training examples" not in "\n".join(lines)
    assert "500 training examples" in page(found)


def test_settings_of_too_few_seeds_state_nothing(found: list[Setting]) -> None:
    assert statement(found[1:], "tables") == [
        "No setting has been run with all three losses and 3 seeds yet."
    ]


@pytest.mark.parametrize("losses", [("ce", "ntil"), ("ce", "emd", "ntil", "del")])
def test_tables_of_other_losses_are_left_out(
    outputs: Path, results: Path, conf: Path, losses: tuple[str, ...]
) -> None:
    write(outputs, 3, losses=losses)
    assert settings(collected(outputs, results), conf) == []


def test_tables_made_before_are_not_compared_again(
    outputs: Path, results: Path, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (250, 500):
        write(outputs, 3, word=f"trainer.train_examples={size}")
    store = collected(outputs, results)
    anew, made = settings(store, conf), tabulate(store, "demo", conf).table
    compared = []

    def noted(name: str, spec: TableSpec, store: Store) -> Comparison:
        compared.append(spec.baseline)
        return compare(name, spec, store)

    monkeypatch.setattr("experiments.compare.settings.compare", noted)
    assert settings(store, conf, made=[made]) == anew
    assert compared == ["emd"]


def test_a_setting_that_lacks_a_loss_waits(outputs: Path, results: Path, conf: Path) -> None:
    write(outputs, 1, word="data=clock_hard")
    write(outputs, 1, losses=("ce", "emd"), word="data=clock_medium")
    assert [setting.group for setting in settings(collected(outputs, results), conf)] == ["data=clock_hard"]


def test_groups_of_the_same_seeds_are_told_together(outputs: Path, results: Path, conf: Path) -> None:
    for size in (250, 500):
        write(outputs, 3, word=f"trainer.train_examples={size}")
    *apart, together = settings(collected(outputs, results), conf)
    assert [setting.groups for setting in apart] == [1, 1]
    assert (together.name, together.seeds) == ("A demonstration: both groups together", 3)
    assert round(together.difference(("emd", "ce")).mean, 3) == 0.5
    lines = statement([*apart, together], "tables")
    assert lines[0].startswith("- **NTIL against CE**, 2 settings: better in 2")
    told = lines.index("  - [A demonstration: both groups together](tables/demo.md)")
    assert lines[told + 1].startswith("    - exact ↑: NTIL − CE +0.500 [+0.")


def test_other_metrics_and_splits_are_told_beside(outputs: Path, results: Path, conf: Path) -> None:
    """Equal by exact answers everywhere; CE is within a minute less often on unseen faces."""
    preset = conf / "experiment" / "demo.yaml"
    wider = {
        "splits: [test]": "splits: [test, heldout_faces]",
        "metrics: [exact]": "metrics: [exact, within_1]",
    }
    text = preset.read_text()
    for old, new in wider.items():
        assert old in text
        text = text.replace(old, new)
    preset.write_text(text)
    for size in (250, 500):
        for loss in ("ce", "emd", "ntil"):
            near = {"test": 20, "heldout_faces": 10 if loss == "ce" else 30}
            scores = {
                split: [{"exact": float(index < 10), "within_1": float(index < count)} for index in range(40)]
                for split, count in near.items()
            }
            for seed in range(3):
                word = f"trainer.train_examples={size}"
                write_run(outputs, scores, loss=loss, seed=seed, overrides=[word])
    lines = statement(settings(collected(outputs, results), conf), "tables")
    assert lines[0] == (
        "- **NTIL against CE**, 2 settings: better in 0, worse in 0, not distinguishable in 2. "
        "By every metric and split of their tables: better in 2, worse in 0 of 8."
    )
    assert "better in 0, worse in 0 of 8" in lines[1]
    told = next(index for index, line in enumerate(lines) if "both groups together" in line)
    exactly, near, end = lines[told + 1 : told + 4]
    assert "exact ↑: NTIL − CE 0.000 [0.000, 0.000] not distinguishable, NTIL − EMD 0.000" in exactly
    assert near.startswith(r"    - ±1 min ↑ on heldout\_faces: NTIL − CE +0.500 [+0.")
    assert not end
    assert "better, EMD − CE +0.500" in near
    assert "NTIL − EMD" not in near


def test_groups_in_words() -> None:
    assert said("model=tiny_gemma, trainer.train_examples=250") == "tiny_gemma, 250 training examples"
    assert said("+loss.weight=0.3") == "loss.weight=0.3"
    assert said("") == ""  # the only group of a table


def test_the_readme_keeps_all_but_the_block(found: list[Setting]) -> None:
    text = with_statement(MARKS, found)
    assert text.startswith("before\n<!-- overview:begin -->\nOut of 1 setting with 3 seeds, by")
    assert text.endswith("\n<!-- overview:end -->\nafter\n")
    assert "old" not in text
    assert "- **NTIL against CE**: better in 1, worse in 0, not distinguishable in 0." in text
    assert "](results/overview.md)" in text
    assert with_statement(text, found) == text


def test_a_readme_without_marks_is_named(found: list[Setting]) -> None:
    with pytest.raises(UserError, match="overview:begin"):
        with_statement("nothing", found)


def test_the_command_writes_both(found: list[Setting], results: Path, conf: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(MARKS)
    assert main(["--results", str(results)], conf, readme) == 0
    assert (results / PAGE).read_text(encoding="utf-8") == page(found)
    assert readme.read_text(encoding="utf-8") == with_statement(MARKS, found)


def test_the_committed_readme_says_what_the_results_say() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_statement(text, settings(Store(ROOT / "results"))) == text
