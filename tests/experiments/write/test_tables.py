import csv
import re
from pathlib import Path

import pytest
import yaml
from run_factory import exact, write_run
from table_text import make, set_table, table_after

from experiments.compare.labels import LOOKS, ordered
from experiments.compare.statistics import Difference
from experiments.results.collect import collect
from experiments.tables import main
from experiments.write.grids import number, verdict
from experiments.write.published import load_published
from experiments.write.render import CSV_COLUMNS
from ntil.checkout import CONF
from ntil.errors import UserError


def two_losses(outputs: Path, seeds: int = 2) -> None:
    for seed in range(seeds):
        write_run(outputs, exact(*[1.0] * (40 + 4 * seed), *[0.0] * (60 - 4 * seed)), loss="ce", seed=seed)
        write_run(outputs, exact(*[1.0] * 80, *[0.0] * 20), loss="ntil", seed=seed)


def test_scores_and_differences(outputs: Path, results: Path, conf: Path) -> None:
    two_losses(outputs)
    text = make(outputs, results, conf, "demo")
    assert table_after(text, "Scores on test") == {
        "": ["exact ↑"],
        "CE": ["0.420 ± 0.028 (2)"],
        "NTIL": ["**0.800 ± 0.000 (2)**"],
    }
    (cell,) = table_after(text, "Difference to CE on test")["NTIL"]
    found = re.fullmatch(r"\+0\.380 \[\+0\.(\d+), \+0\.(\d+)\] better", cell)
    assert found
    assert 200 < int(found[1]) < 330 < 430 < int(found[2]) < 560
    assert "With 2 seeds the interval understates" in text


def test_ratios_and_metrics_of_a_whole_split(outputs: Path, results: Path, conf: Path) -> None:
    for loss, found in (("ce", (1, 0)), ("ntil", (2, 1))):
        items = [{"found": float(n), "shown": 2.0} for n in found]
        about = {"ratio": [["found"], ["shown"]]}
        metrics = {
            "precision": (about, {"test": sum(found) / 4}),
            "ap": ({"of_split": True}, {"test": 0.5}),
        }
        write_run(outputs, {"test": items}, loss=loss, metrics=metrics)
    set_table(conf, splits=["test"], metrics=["precision", "ap"])
    text = make(outputs, results, conf)
    rows = table_after(text, "Difference to CE on test")
    assert "+0.500" in rows["NTIL"][0]
    assert rows["NTIL"][1] == "–"


def test_lower_is_better_where_the_metric_says_so(outputs: Path, results: Path, conf: Path) -> None:
    set_table(conf, metrics=["gap_plain"])
    for loss, gap in (("ce", 30.0), ("ntil", 9.5)):
        write_run(outputs, {"test": [{"gap_plain": gap + index} for index in range(5)]}, loss=loss)
    text = make(outputs, results, conf)
    assert table_after(text, "Scores on test") == {
        "": ["gap, plain [minutes] ↓"],
        "CE": ["32.00 ± – (1)"],
        "NTIL": ["**11.50 ± – (1)**"],
    }
    assert table_after(text, "Difference to CE on test")["NTIL"] == ["−20.50 [−20.50, −20.50] better"]
    assert "With one seed the interval covers the choice of test items only" in text


def test_what_is_missing_is_a_dash(outputs: Path, results: Path, conf: Path) -> None:
    set_table(conf, splits=["test", "heldout"])
    for seed in range(2):
        write_run(outputs, exact(None, None, None), loss="ce", seed=seed)
    text = make(outputs, results, conf)
    assert table_after(text, "Scores on test") == {"": ["exact ↑"], "CE": ["–"], "NTIL": ["–"]}
    assert table_after(text, "Scores on heldout")["CE"] == ["–"]
    assert "Difference to CE" not in text
    assert "Without a complete run: CE, NTIL." in text
    written = "".join(path.read_text() for path in (results / "tables").iterdir())
    assert "nan" not in written
    with (results / "tables" / "demo.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["mean"], row["sd"], row["difference"], row["verdict"]) for row in rows} == {("", "", "", "")}


def test_only_shared_seeds_are_paired(outputs: Path, results: Path, conf: Path) -> None:
    write_run(outputs, exact(0, 0, 1, 1), loss="ce", seed=0)
    write_run(outputs, exact(1, 1, 1, 1), loss="ntil", seed=0)
    write_run(outputs, exact(0, 0, 0, 0), loss="ntil", seed=1)
    text = make(outputs, results, conf)
    assert table_after(text, "Scores on test")["NTIL"] == ["0.500 ± 0.707 (2)"]
    assert table_after(text, "Difference to CE on test")["NTIL"][0].startswith("+0.500 [")


def test_equal_means_are_not_bold_and_not_distinguishable(outputs: Path, results: Path, conf: Path) -> None:
    for loss in ("ce", "ntil"):
        write_run(outputs, exact(0, 1), loss=loss)
    text = make(outputs, results, conf)
    assert table_after(text, "Scores on test")["NTIL"] == ["0.500 ± – (1)"]
    assert "0.000 [0.000, 0.000] not distinguishable" in text


def test_a_tie_for_the_best_is_bold_twice(outputs: Path, results: Path, conf: Path) -> None:
    for loss, scores in (("ce", (0, 0)), ("emd", (1, 0)), ("ntil", (0, 1))):
        write_run(outputs, exact(*scores), loss=loss)
    text = make(outputs, results, conf)
    assert [cells[0].startswith("**") for cells in table_after(text, "Scores on test").values()][1:] == [
        False,
        True,
        True,
    ]


def test_published_values_stand_beside_ours(outputs: Path, results: Path, conf: Path) -> None:
    set_table(conf, published="paper", splits=["test", "heldout"])
    two_losses(outputs)
    text = make(outputs, results, conf)
    scores = table_after(text, "Scores on test")
    assert scores[""] == ["exact ↑", "published, Big 2B: exact ↑"]
    assert [scores["CE"][1], scores["NTIL"][1]] == ["0.813", "0.853"]
    assert table_after(text, "Scores on heldout")[""] == ["exact ↑"]  # the paper has one test set
    assert table_after(text, "Published") == {
        "": ["Big 2B: exact ↑", "Bigger 7B: exact ↑"],
        "CE": ["0.813", "–"],
        "NTIL": ["0.853", "–"],
    }
    assert "Published values: Big 2B, Bigger 7B; A paper (printed). They are other models" in text


def test_the_caption_says_the_scale(outputs: Path, results: Path, conf: Path) -> None:
    for seed in (0, 1, 2, 5):
        write_run(outputs, exact(1, 0), seed=seed, steps=1200)
    text = make(outputs, results, conf)
    assert (
        "Scale: model tiny, 1,200 steps on 3,000 training examples, seeds 0–2, 5, cpu (made up), 1 CPU threads, "
        "commit 0123456789; test items: test 2."
    ) in text
    assert "Careful" not in text
    runs = table_after(text, "Runs behind the table")
    assert len(runs) == 5
    assert re.fullmatch("[0-9a-f]{12}", runs["demo/clock-tiny-ce-seed0"][0])


def test_mixed_runs_are_pointed_out(outputs: Path, results: Path, conf: Path) -> None:
    write_run(outputs, exact(1, 0), seed=0)
    write_run(outputs, exact(1, 0), seed=1, steps=300, data={"records_sha256": "other"})
    assert "Careful: these runs were made on different data, with different numbers of steps." in make(
        outputs, results, conf
    )


def test_partial_metrics_say_how_many_items_they_cover(outputs: Path, results: Path, conf: Path) -> None:
    write_run(outputs, exact(1, 0, None, None), loss="ce")
    write_run(outputs, exact(1, 0, 1, 1), loss="ntil")
    assert "share differs by row: exact on test (CE 50.0 %, others 100 %)." in make(outputs, results, conf)


def test_other_settings_are_rows_of_their_own(outputs: Path, results: Path, conf: Path) -> None:
    write_run(outputs, exact(1, 0), loss="ce")
    write_run(outputs, exact(1, 1), loss="ce", overrides=["trainer.max_steps=5"])
    text = make(outputs, results, conf)
    scores = table_after(text, "Scores on test")
    assert scores["CE"] == ["0.500 ± – (1)"]
    assert scores["CE (trainer.max\\_steps=5)"] == ["1.000 ± – (1)"]


def test_rows_may_be_an_override(outputs: Path, results: Path, conf: Path) -> None:
    set_table(conf, rows="loss.sigma", baseline="0")
    for sigma, scores in (("0", (1, 0)), ("0.2", (1, 1))):
        write_run(outputs, exact(*scores), loss="ntil", overrides=[f"loss.sigma={sigma}"])
    text = make(outputs, results, conf)
    assert table_after(text, "Scores on test") == {
        "": ["exact ↑"],
        "0": ["0.500 ± – (1)"],
        "0.2": ["**1.000 ± – (1)**"],
    }


def test_the_same_point_twice_is_refused(
    outputs: Path, results: Path, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(outputs, exact(1))
    write_run(outputs, exact(1), name="a-copy")
    collect(outputs, results)
    assert main(["--results", str(results)], conf) == 2
    assert "same point of the grid (loss=ce, seed 0)" in capsys.readouterr().err


def test_the_same_bytes_each_time(outputs: Path, results: Path, conf: Path) -> None:
    two_losses(outputs)
    make(outputs, results, conf)
    before = {path.name: path.read_bytes() for path in (results / "tables").iterdir()}
    assert set(before) == {"demo.md", "demo.tex", "demo.csv"}
    make(outputs, results, conf)
    assert {path.name: path.read_bytes() for path in (results / "tables").iterdir()} == before


def test_csv_and_latex(outputs: Path, results: Path, conf: Path) -> None:
    set_table(conf, title="50 % & more_of_it", published="paper")
    two_losses(outputs)
    make(outputs, results, conf)
    with (results / "tables" / "demo.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    shown = [
        (r["row"], r["mean"], r["seeds"], r["verdict"], r["published_model"], r["published"]) for r in rows
    ]
    assert shown == [
        ("ce", "0.42", "2", "", "Big 2B", "0.813"),
        ("ntil", "0.8", "2", "better", "Big 2B", "0.853"),
    ]
    tex = (results / "tables" / "demo.tex").read_text()
    assert "CE & 0.420 $\\pm$ 0.028 (2) & 0.813 \\\\" in tex
    assert "\\caption{50 \\% \\& more\\_of\\_it." in tex
    assert "↑" not in tex
    for line in tex.splitlines():
        if line.endswith("\\\\") and " & " in line and "multicolumn" not in line:
            assert line.count(" & ") in (1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ["exactt"]}, "no metric 'exactt'. Did you mean 'exact'?"),
        ({"metric": ["exact"]}, "no setting 'metric'. Did you mean 'metrics'"),
        ({"splits": []}, "lacks splits"),
        ({"published": "papre"}, "no block 'papre'. Did you mean 'paper'?"),
    ],
)
def test_mistakes_in_a_preset_are_named(
    outputs: Path,
    results: Path,
    conf: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
    message: str,
) -> None:
    write_run(outputs, exact(1))
    collect(outputs, results)
    set_table(conf, **change)
    assert main(["demo", "--results", str(results)], conf) == 2
    assert message in capsys.readouterr().err


def test_names_must_have_runs_and_a_table(
    outputs: Path, results: Path, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--results", str(results)], conf) == 2
    assert "has no runs" in capsys.readouterr().err
    write_run(outputs, exact(1), experiment="loose")
    collect(outputs, results)
    assert main(["demo", "--results", str(results)], conf) == 2
    assert "no experiment 'demo'" in capsys.readouterr().err
    assert main(["loose", "--results", str(results)], conf) == 2
    assert "loose has no table" in capsys.readouterr().err


def test_numbers() -> None:
    assert [number(value, 2) for value in (None, 0.125, -1.5, -0.001)] == ["–", "0.12", "−1.50", "0.00"]
    assert number(0.0, 1, sign=True) == "0.0"
    assert number(1.25, 1, sign=True) == "+1.2"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.0003, 0.018, "[+0.0003, +0.018]"),
        (-0.02, -0.0000412, "[−0.020, −0.00004]"),
        (-0.0005001, 0.0, "[−0.001, 0.000]"),
        (0.0, 0.0, "[0.000, 0.000]"),
    ],
)
def test_an_interval_shows_on_which_side_of_0_it_ends(low: float, high: float, text: str) -> None:
    assert verdict(Difference((low + high) / 2, low, high, 3, 100, "better"), 3).interval == text


def test_order_of_the_rows() -> None:
    assert ordered(["zeta", "alpha", "ntil", "ce", "emd"], first=["emd", "ce"]) == [
        "emd",
        "ce",
        "ntil",
        "alpha",
        "zeta",
    ]


def test_the_published_file_holds_the_papers_numbers() -> None:
    clock = load_published("clock")
    assert clock.value("Qwen2-VL 2B", "ntil", "exact") == 0.853
    assert clock.value("Yi-VL 6B", "ce", "gap_plain") == 56.58
    assert clock.value("Yi-VL 6B", "emd", "exact") is None
    assert load_published("localization").value("PaliGemma 3B", "emd", "acc_50") == 0.789
    assert load_published("text_detection").value("LLaVA-1.5 7B", "ntil", "acc_50") == 0.698
    assert load_published("ablation_mathvista").value("LLaVA", "ntil_no_mag", "accuracy") == 0.143
    # The ablation's full loss is the main table's.
    assert load_published("ablation_clock").value("Yi-VL 6B", "ntil", "exact") == clock.value(
        "Yi-VL 6B", "ntil", "exact"
    )
    blocks = yaml.safe_load((CONF / "published.yaml").read_text())
    for key, block in blocks.items():
        assert load_published(key).source.startswith("Fei et al.")
        assert {row["row"] for row in block["rows"]} <= set(LOOKS)
    with pytest.raises(UserError, match="It has: clock"):
        load_published("nothing")
