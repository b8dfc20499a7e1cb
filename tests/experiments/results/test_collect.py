import gzip
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from run_factory import change_json, exact, write_run

from experiments.check import main as check
from experiments.collect import main
from experiments.plots import main as plots
from experiments.report.__main__ import main as report
from experiments.results.folder import config_hash
from experiments.results.store import Store
from experiments.tables import main as tables


def collect(outputs: Path, results: Path, *words: str) -> int:
    return main(["--outputs", str(outputs), "--results", str(results), *words])


def bytes_of(results: Path) -> dict[str, str]:
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file()
    }


def test_a_run_becomes_rows(outputs: Path, results: Path) -> None:
    items = [{"exact": 1.0, "gap_plain": 3.0}, {"exact": 0.0, "gap_plain": None}]
    write_run(
        outputs, {"test": items}, loss="ntil", seed=3, overrides=["trainer.max_steps=5", "loss.sigma=0.1"]
    )
    assert collect(outputs, results) == 0
    rows = Store(results).runs()
    assert [(row.metric, row.value) for row in rows] == [("exact", 0.5), ("gap_plain", 3.0)]
    assert (results / "metrics.csv").read_text() == (
        "task,metric,label,unit,better,decimals,ratio\n"
        "clock,exact,exact,share,higher,3,\n"
        'clock,gap_plain,"gap, plain",minutes,lower,2,\n'
    )
    expected = {
        **{
            "experiment": "demo",
            "task": "clock",
            "task_version": 1,
            "model": "tiny",
            "loss": "ntil",
            "seed": 3,
        },
        **{"split": "test", "count": 2, "steps": 600, "train_seconds": 90.5, "device": "cpu (made up)"},
        **{
            "threads": 1,
            "commit": "0123456789abcdef",
            "dirty": False,
            "torch": "2.8.0",
            "transformers": "5.5.0",
        },
        **{"overrides": "loss.sigma=0.1 trainer.max_steps=5", "train_count": 3000, "parameters": None},
    }
    assert {key: getattr(rows[0], key) for key in expected} == expected
    run = rows[0].run
    assert gzip.decompress((results / "scores" / "demo.csv.gz").read_bytes()).decode().splitlines() == [
        "run,split,item,exact,gap_plain",
        f'"{run}",test,test-0000,1,3',
        f'"{run}",test,test-0001,0,',
    ]
    scores = Store(results).scores("demo")
    assert scores["exact"].tolist() == [1.0, 0.0]
    assert scores["gap_plain"].isna().tolist() == [False, True]


def test_a_metric_without_a_value_is_an_empty_cell(outputs: Path, results: Path) -> None:
    write_run(outputs, exact(None, None))
    assert collect(outputs, results) == 0
    assert Store(results).runs()[0].value is None
    assert ",exact,,2," in (results / "runs.csv").read_text()


def test_the_same_bytes_whatever_the_order(outputs: Path, results: Path, tmp_path: Path) -> None:
    for loss, seed in (("ntil", 10), ("ntil", 2), ("ce", 0)):
        write_run(outputs, exact(1, 0), loss=loss, seed=seed)
    assert collect(outputs, results) == 0
    first = bytes_of(results)
    assert set(first) == {"runs.csv", "metrics.csv", "scores/demo.csv.gz", "curves/demo.csv.gz"}
    assert collect(outputs, results) == 0
    assert bytes_of(results) == first
    assert [row.seed for row in Store(results).runs()] == [0, 2, 10]
    again = tmp_path / "again"
    other = tmp_path / "others"
    for loss, seed in (("ce", 0), ("ntil", 2), ("ntil", 10)):
        write_run(other, exact(1, 0), loss=loss, seed=seed)
        assert collect(other, again) == 0
    assert bytes_of(again) == first  # other paths and three merges


def test_merging_replaces_what_is_on_disk_and_keeps_the_rest(outputs: Path, results: Path) -> None:
    write_run(outputs, exact(0, 0), seed=0)
    gone = write_run(outputs, exact(1, 0), seed=1)
    write_run(outputs, exact(1, 1), experiment="other")
    assert collect(outputs, results) == 0
    shutil.rmtree(gone)
    shutil.rmtree(outputs / "other")
    shutil.rmtree(outputs / "demo" / "clock-tiny-ce-seed0")
    write_run(outputs, exact(1, 1), seed=0)
    assert collect(outputs, results) == 0
    found = {(row.experiment, row.seed): row.value for row in Store(results).runs()}
    assert found == {("demo", 0): 1.0, ("demo", 1): 0.5, ("other", 0): 1.0}
    assert Store(results).scores("demo")["exact"].tolist() == [1.0, 1.0, 1.0, 0.0]
    assert len(Store(results).curves("demo")) == 4
    assert len(Store(results).scores("other")) == 2


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "COMPLETE").unlink(), "not complete"),
        (lambda folder: (folder / "config.yaml").unlink(), "no config.yaml"),
        (lambda folder: (folder / "config.yaml").write_text("a: [1"), "expected"),
        (lambda folder: (folder / "metrics.json").write_text('{"schema"'), "not valid JSON"),
        (lambda folder: (folder / "predictions.jsonl").unlink(), "predictions.jsonl does not exist"),
        (lambda folder: (folder / "train.jsonl").write_text('{"step": 1}\n[1]\n'), "line 2"),
        (change_json("metrics.json", lambda m: m.update(schema=2)), "schema 2"),
        (change_json("metrics.json", lambda m: m.pop("task")), "lacks the key 'task'"),
        (change_json("metrics.json", lambda m: m["splits"]["test"].update(count=3)), "counts 3 items"),
        (
            change_json("metrics.json", lambda m: m["splits"]["test"]["metrics"].update(exact=0.6)),
            "is 0.6 in metrics",
        ),
        (
            change_json("metrics.json", lambda m: m["splits"]["test"]["metrics"].update(exact=None)),
            "is None in",
        ),
        (
            change_json("metrics.json", lambda m: m["splits"]["test"]["metrics"].update(exact=float("nan"))),
            "is nan in metrics",
        ),
        (
            change_json("metrics.json", lambda m: m["metrics"]["exact"].update(better="up")),
            "better when 'up'",
        ),
        (change_json("provenance.json", lambda p: p.pop("packages")), "lacks the key 'packages'"),
    ],
)
def test_a_bad_folder_is_named_and_left_out(
    outputs: Path,
    results: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    reason: str,
) -> None:
    write_run(outputs, exact(1, 0), seed=0)
    bad = write_run(outputs, exact(1, 0), seed=1)
    assert collect(outputs, results) == 0
    before = bytes_of(results)
    spoil(bad)
    capsys.readouterr()
    assert collect(outputs, results) == 0
    said = capsys.readouterr().err
    assert said.count("left out") == 1
    assert f"left out {bad}: " in said
    assert reason in said
    assert bytes_of(results) == before  # what was collected earlier stays


def test_logs_and_hidden_folders_are_no_runs(
    outputs: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(outputs, exact(1))
    (outputs / "demo" / "logs").mkdir()
    (outputs / "demo" / ".cache").mkdir()
    (outputs / "demo" / "multirun.yaml").touch()
    assert collect(outputs, results) == 0
    assert capsys.readouterr().err == ""


def test_nothing_at_all_is_an_error(outputs: Path, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert collect(outputs, results) == 2
    assert "does not exist" in capsys.readouterr().err
    (write_run(outputs, exact(1)) / "COMPLETE").unlink()
    assert collect(outputs, results) == 2
    assert "None of 1 run folders can be used" in capsys.readouterr().err
    assert not results.exists()


def test_one_experiment_at_a_time(outputs: Path, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(outputs, exact(1))
    write_run(outputs, exact(1), experiment="other")
    assert collect(outputs, results, "--experiment", "other") == 0
    assert Store(results).experiments() == ["other"]
    assert collect(outputs, results, "--experiment", "dem") == 2
    assert "Did you mean 'demo'?" in capsys.readouterr().err


def test_hashes_ignore_where_things_are() -> None:
    config = {"seed": 0, "paths": {"data": "a"}, "trainer": {"max_steps": 5}}
    assert config_hash(config) == config_hash(config | {"paths": {"data": "b"}, "logger": {"name": "wandb"}})
    assert config_hash(config) != config_hash(config | {"seed": 1})
    assert len(config_hash(config)) == 64


def test_data_hash_follows_the_records_and_not_the_folder(outputs: Path, results: Path) -> None:
    for seed, (folder, digest) in enumerate([("a", "11"), ("b", "11"), ("a", "22")]):
        write_run(outputs, exact(1), seed=seed, data={"folder": folder, "records_sha256": digest})
    assert collect(outputs, results) == 0
    first, moved, other = (row.data_hash for row in Store(results).runs())
    assert first == moved != other


def test_an_unknown_commit_is_neither_clean_nor_dirty(outputs: Path, results: Path) -> None:
    write_run(outputs, exact(1), commit=None)
    assert collect(outputs, results) == 0
    assert (Store(results).runs()[0].commit, Store(results).runs()[0].dirty) == ("", None)


def test_the_training_examples_are_those_that_were_used(outputs: Path, results: Path) -> None:
    write_run(outputs, exact(1), config={"trainer": {"train_examples": 500}})
    assert collect(outputs, results) == 0
    assert Store(results).runs()[0].train_count == 500


def test_curves_keep_the_last_line_of_a_step(outputs: Path, results: Path) -> None:
    logged = [
        {"step": 10, "ce": 2.0, "learning_rate": 0.1},
        {"step": 20, "ce": 9.0},
        {"step": 20, "ce": 1.5, "note": "x"},
    ]
    write_run(outputs, exact(1), curves=[*logged, {"step": 100, "val/exact": 0.5}])
    assert collect(outputs, results) == 0
    found = [(row.step, row.key, row.value) for row in Store(results).curves("demo")]
    assert found == [(10, "ce", 2.0), (20, "ce", 1.5), (100, "val/exact", 0.5)]


def test_a_damaged_results_file_is_not_overwritten(
    outputs: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(outputs, exact(1))
    assert collect(outputs, results) == 0
    (results / "runs.csv").write_text("experiment,run\ndemo,x\n")
    before = bytes_of(results)["runs.csv"]
    assert collect(outputs, results) == 2
    assert "lacks the columns" in capsys.readouterr().err
    assert bytes_of(results)["runs.csv"] == before


def test_runs_that_mean_something_else_by_a_metric_are_left_out(
    outputs: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(outputs, exact(1, 0))
    assert collect(outputs, results) == 0
    before = bytes_of(results)
    for seed, change in enumerate(({"better": "lower"}, {"unit": "percent"}, {"label": "right"}), start=1):
        run = write_run(outputs, exact(1, 0), seed=seed)
        change_json("metrics.json", lambda m, new=change: m["metrics"]["exact"].update(new))(run)
    shutil.rmtree(outputs / "demo" / "clock-tiny-ce-seed0")
    capsys.readouterr()
    assert collect(outputs, results) == 0
    said = capsys.readouterr().err
    assert said.count("left out") == 2
    assert f"better of the metric 'exact' is 'lower' here and 'higher' in {results / 'metrics.csv'}" in said
    assert "unit of the metric 'exact' is 'percent' here" in said
    assert [row.seed for row in Store(results).runs()] == [0, 3]
    assert [row.label for row in Store(results).metrics(Store(results).runs())] == ["right"]
    shutil.rmtree(outputs / "demo" / "clock-tiny-ce-seed3")
    assert collect(outputs, results) == 2  # none of those that are there can stand beside the others
    assert bytes_of(results) != before
    assert len(Store(results).runs()) == 2


def test_a_metric_may_change_its_meaning_where_all_of_its_runs_are_read_anew(
    outputs: Path, results: Path
) -> None:
    runs = [write_run(outputs, exact(1, 0), seed=seed) for seed in (0, 1)]
    assert collect(outputs, results) == 0
    for run in runs:
        change_json("metrics.json", lambda m: m["metrics"]["exact"].update(better="lower"))(run)
    assert collect(outputs, results) == 0
    assert [row.better for row in Store(results).metrics(Store(results).runs())] == ["lower"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: None, "metrics.csv is missing; it describes the metric 'exact' of the task 'clock'"),
        (lambda text: text.splitlines()[0] + "\n", "metrics.csv is missing; it describes"),
        (lambda text: text.replace(",exact,exact", ",exakt,exact"), "metrics.csv says nothing of the metric 'exact'"),
        (lambda text: text.replace("higher", "up"), "metrics.csv has a bad line 2: better is 'up'; expected higher or"),
        (lambda text: text.replace(",3,", ",-1,"), "bad line 2: decimals is '-1'; expected 0 to 12"),
        (lambda text: text.replace(",3,", ",three,"), "bad line 2: decimals is 'three'; expected 0 to 12"),
        (lambda text: text.replace(",3,", ",3,a+b"), "bad line 2: ratio is 'a+b'; expected names by +, twice, by /"),
        (lambda text: text + "clock,exact,exact,share,lower,3,\n", "says in line 3 again what line 2 says, of clock, exact"),
        (lambda text: text.replace("decimals", "digits"), "lacks the columns decimals"),
        (lambda text: "", "metrics.csv is empty"),
    ],
)  # fmt: skip
def test_a_bad_table_of_metrics_is_one_message(
    outputs: Path,
    results: Path,
    conf: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[str], str | None],
    said: str,
) -> None:
    write_run(outputs, exact(1, 0))
    assert collect(outputs, results) == 0
    path = results / "metrics.csv"
    text = spoil(path.read_text())
    path.unlink() if text is None else path.write_text(text)
    for command in (tables, plots, report, check):
        capsys.readouterr()
        assert command(["--results", str(results)], conf) == 2
        error = capsys.readouterr().err
        assert error.count("error: ") == 1
        assert said in error
        assert str(path) in error
    assert "Traceback" not in error
    assert collect(outputs, results, "--repair") == 0  # outputs/ holds all of it
    assert tables(["--results", str(results)], conf) == 0


def test_results_of_the_layout_without_a_table_of_metrics_are_named(
    outputs: Path, results: Path, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(outputs, exact(1, 0))
    assert collect(outputs, results) == 0
    head, line = (results / "runs.csv").read_text().splitlines()
    (results / "runs.csv").write_text(
        f"{head},label,unit,better,digits,ratio\n{line},exact,share,higher,3,\n"
    )
    (results / "metrics.csv").unlink()
    assert tables(["--results", str(results)], conf) == 2
    assert "`python -m experiments.collect` from the runs in outputs/" in capsys.readouterr().err
    assert collect(outputs, results) == 0
    assert (results / "runs.csv").read_text().splitlines() == [head, line]
    assert tables(["--results", str(results)], conf) == 0
