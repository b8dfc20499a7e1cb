"""Errors and calibration: counted by collect, read back by table and figure, against cases worked by hand."""

import csv
from pathlib import Path

import pandas as pd
import pytest
import yaml
from run_factory import dump_lines, exact, said, write_run

from experiments.compare.errors import Analysis, analyse
from experiments.compare.spec import TableSpec
from experiments.plots import main as plot
from experiments.results.collect import collect
from experiments.results.error_counts import confidence_bin
from experiments.results.magnitude import binned, magnitude_of
from experiments.results.store import Store
from experiments.tables import main as tabulate
from ntil.io import read_jsonl

SPEC = TableSpec.parse("demo", {"rows": "loss", "baseline": "ce", "splits": ["test"], "metrics": ["exact"]})
CLOCKS = [
    said("12:45", "12:40", ("1", 0.95), ("2", 0.85), (":", 1.0), ("4", 0.85), ("0", 0.45)),
    said("1:30", "1:30", ("1", 1.0), (":", 1.0), ("3", 0.95), ("0", 0.45)),
]
GAPS = [{"exact": 0.0, "gap_circular": 5.0}, {"exact": 1.0, "gap_circular": 0.0}]


def analysed(results: Path) -> Analysis:
    found = analyse("demo", SPEC, Store(results))
    assert found is not None
    return found


def test_what_collect_counts(outputs: Path, results: Path) -> None:
    write_run(outputs, {"test": GAPS}, answers={"test": CLOCKS})
    collect(outputs, results)
    rows = Store(results).errors("demo")
    assert {row.run for row in rows} == {"clock-tiny-ce-seed0"}
    assert [(row.bin, row.count, row.right) for row in rows if row.kind == "place"] == [
        ("hour tens", 1, 1),
        ("hour units", 2, 2),
        ("minute tens", 2, 2),
        ("minute units", 2, 1),
    ]
    found = {row.bin: (row.count, row.right, row.confidence) for row in rows if row.kind == "calibration"}
    assert found == {"4": (2, 1, 0.9), "8": (2, 2, 1.7), "9": (3, 3, 2.9)}
    assert not [row for row in rows if row.kind == "wrong_digits"]  # clocks are binned from their scores


def test_calibration_by_hand(outputs: Path, results: Path) -> None:
    """ECE: (|1 − 0.9| + |2 − 1.7| + |3 − 2.9|) / 7 in one run; 0 in the other, which is sure and right."""
    write_run(outputs, {"test": GAPS}, answers={"test": CLOCKS})
    sure = [said("2:00", "2:00"), said("3:00", "3:00")]
    write_run(outputs, {"test": GAPS}, seed=1, answers={"test": sure})
    collect(outputs, results)
    (row,) = analysed(results).rows
    assert row.calibration is not None
    assert row.calibration.ece.mean == pytest.approx(0.5 / 7 / 2)
    assert row.calibration.ece.sd == pytest.approx(0.5 / 7 / 2**0.5)
    assert (row.calibration.tokens, row.calibration.ece.count) == (13, 2)
    points = [value for point in row.calibration.points for value in point]
    assert points == pytest.approx([0.45, 0.5, 2, 0.85, 1.0, 2, 8.9 / 9, 1.0, 9])


def test_shares_are_means_over_seeds(outputs: Path, results: Path) -> None:
    write_run(outputs, {"test": GAPS}, answers={"test": CLOCKS})
    write_run(outputs, {"test": [GAPS[1], GAPS[1]]}, seed=1, answers={"test": [CLOCKS[1], CLOCKS[1]]})
    collect(outputs, results)
    (row,) = analysed(results).rows
    assert row.magnitude is not None
    assert {name: s.mean for name, s in row.magnitude.over_seeds.items() if s.mean} == {
        "0": 0.75,
        "5–9": 0.25,
    }
    assert row.magnitude.seeds["5–9"] == (0.5, 0.0)
    assert row.magnitude.over_seeds["5–9"].sd == pytest.approx(0.5 / 2**0.5)
    assert row.places is not None
    assert row.places.seeds["minute units"] == (0.5, 0.0)
    assert row.places.count["minute units"] == 4
    assert analysed(results).places == ("hour tens", "hour units", "minute tens", "minute units")


def test_wrong_digits_of_other_tasks(outputs: Path, results: Path) -> None:
    answers = [said("46", "46"), said("-46", "146"), said("46", "?"), said("(B)", "(C)")]
    write_run(outputs, exact(1, 0, 0, 0), task="arithmetic", answers={"test": answers})
    collect(outputs, results)
    (row,) = analysed(results).rows
    assert row.magnitude is not None
    shares = {name: s.mean for name, s in row.magnitude.over_seeds.items() if s.mean}
    assert shares == pytest.approx({"0": 1 / 3, "2": 1 / 3, "no number": 1 / 3})  # (B) holds no digits
    assert analysed(results).places == ("sign", "tens", "units")


@pytest.mark.parametrize(
    ("task", "item", "name"),
    [
        ("clock", {"gap_circular": 0}, "0"),
        ("clock", {"gap_circular": 4}, "3–4"),
        ("clock", {"gap_circular": 29}, "10–29"),
        ("clock", {"gap_circular": 360}, "60+"),
        ("clock", {"gap_circular": float("nan")}, "no time"),
        ("localization", {"iou": 1, "parsed": 1}, "0.9–1"),
        ("localization", {"iou": 0.5, "parsed": 1}, "0.5–0.75"),  # Acc@0.5 counts it as right
        ("localization", {"iou": 0.4999, "parsed": 1}, "0.25–0.5"),
        ("localization", {"iou": 0, "parsed": 1}, "0–0.25"),
        ("localization", {"iou": 0, "parsed": 0}, "no box"),
        ("text_detection", {"hits": 2, "found": 3, "targets": 4, "parsed": 1}, "3–4"),
        ("text_detection", {"hits": 2, "found": 2, "targets": 2, "parsed": 1}, "0"),
        ("text_detection", {"hits": 0, "found": 0, "targets": 2, "parsed": 0}, "no answer"),
    ],
)
def test_bins_by_hand(task: str, item: dict[str, float], name: str) -> None:
    assert {
        bin: count for bin, count in binned(magnitude_of(task), pd.DataFrame([item])).items() if count
    } == {name: 1}


def test_confidence_bins() -> None:
    assert [confidence_bin(p) for p in (0.0, 0.0999, 0.1, 0.95, 1.0)] == [0, 0, 1, 9, 9]


def test_runs_collected_without_predictions_still_have_histograms(outputs: Path, results: Path) -> None:
    """results/ from before there were errors: scores alone."""
    write_run(outputs, {"test": GAPS})  # no answers: nothing to count
    collect(outputs, results)
    assert not (results / "errors").exists()
    (row,) = analysed(results).rows
    assert row.magnitude is not None
    assert (row.places, row.calibration) == (None, None)


def test_no_scores_to_bin_and_no_answers_make_no_analysis(outputs: Path, results: Path) -> None:
    write_run(outputs, exact(1, 0))
    collect(outputs, results)
    assert analyse("demo", SPEC, Store(results)) is None


def test_tables_and_figures(outputs: Path, results: Path, conf: Path) -> None:
    for loss in ("ce", "ntil"):
        for seed in (0, 1):
            write_run(outputs, {"test": GAPS}, loss=loss, seed=seed, answers={"test": CLOCKS})
    collect(outputs, results)
    assert tabulate(["demo", "--results", str(results)], conf) == 0
    text = (results / "tables" / "demo_errors.md").read_text()
    assert "| CE | 0.500 ± 0.000 (2) | 0.000 ± 0.000 (2) |" in text
    assert "| NTIL | 0.071 ± 0.000 (2) | 14 | 0.786 | 0.857 |" in text
    with (results / "tables" / "demo_errors.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["row"] == "ntil"]
    assert [(row["bin"], row["mean"]) for row in rows if row["kind"] == "wrong_place"][-1] == (
        "minute units",
        "0.5",
    )
    (ece,) = [row for row in rows if row["kind"] == "ece"]
    assert (ece["seeds"], ece["mean"], ece["count"]) == ("2", "0.0714286", "14")
    figures = results / "figures"
    assert plot(["demo", "--results", str(results)], conf) == 0
    names = [f"demo_{kind}.svg" for kind in ("errors", "calibration")]
    before = {name: (figures / name).read_bytes() for name in names}
    assert plot(["demo", "--results", str(results)], conf) == 0
    assert {name: (figures / name).read_bytes() for name in names} == before


def test_each_group_has_its_panel(outputs: Path, results: Path, conf: Path) -> None:
    for model in ("tiny", "large"):
        write_run(outputs, {"test": GAPS}, model=model, answers={"test": CLOCKS})
    collect(outputs, results)
    table = {"rows": "loss", "baseline": "ce", "splits": ["test"], "metrics": ["exact"]}
    (conf / "experiment" / "demo.yaml").write_text(yaml.safe_dump({"table": table}))
    assert {row.group for row in analysed(results).rows} == {"model=tiny", "model=large"}
    assert plot(["demo", "--results", str(results)], conf) == 0
    assert (results / "figures" / "demo_calibration.svg").stat().st_size > 5_000


def test_a_run_that_is_read_again_replaces_its_counts(outputs: Path, results: Path) -> None:
    folder = write_run(outputs, {"test": GAPS}, answers={"test": CLOCKS})
    write_run(outputs, {"test": GAPS}, seed=1, answers={"test": CLOCKS})
    collect(outputs, results)
    before = Store(results).errors("demo")
    collect(outputs, results)
    assert Store(results).errors("demo") == before
    lines = list(read_jsonl(folder / "predictions.jsonl"))
    dump_lines(folder / "predictions.jsonl", [line | said("9:00", "9:00") for line in lines])
    collect(outputs, results)
    after = Store(results).errors("demo")
    assert [row for row in after if row.run.endswith("seed1")] == [
        row for row in before if row.run.endswith("seed1")
    ]
    assert [row.bin for row in after if row.run.endswith("seed0")] == [
        "9",
        "hour units",
        "minute tens",
        "minute units",
    ]
