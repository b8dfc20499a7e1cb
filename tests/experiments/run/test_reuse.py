import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import run_factory
import yaml

from experiments.launch import main
from experiments.results.folder import read_run
from experiments.results.store import Store
from experiments.run import reuse
from experiments.run.presets import PlannedRun, expand
from experiments.run.reuse import Code, recipe, same_runs, take_over
from ntil.io import read_json, write_json

AGAIN = """# @package _global_
experiment_name: again
trainer: {max_steps: 20}
hydra: {sweeper: {params: {loss.weight: "1,2", seed: "0"}}}
table: {title: Another look, rows: loss.weight, baseline: "1", splits: [test], metrics: [exact]}
"""
SCORES = {"test": [{"exact": 1.0}, {"exact": 0.0}]}


NOW = Code("0123456789abcdef", dirty=False)  # what run_factory's runs are made by
HASH = "ab" * 32  # of their records


@pytest.fixture
def again(conf: Path, outputs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """conf with a preset `again`, whose first run has the settings of demo's CE with seed 0; their data set is there."""
    monkeypatch.setattr(reuse, "code_now", lambda: NOW)
    write_json(outputs.parent / "data" / "x" / "manifest.json", {"counts": {}, "records_sha256": HASH})
    (conf / "experiment" / "again.yaml").write_text(AGAIN)
    return conf


def made(run: PlannedRun) -> Path:
    """The run as train.py leaves it."""
    outputs = run.folder.parent.parent
    run_factory.write_run(outputs, SCORES, experiment=run.folder.parent.name, name=run.name)
    (run.folder / "config.yaml").write_text(yaml.safe_dump(run.config))
    (run.folder / "checkpoints").mkdir()
    return run.folder


def names(runs: Sequence[PlannedRun]) -> list[str]:
    return [run.name for run in runs]


def test_the_same_settings_under_another_name_are_the_same_recipe(again: Path) -> None:
    demo, other = expand("demo", ("loss=ce", "seed=0"), again)[0], expand("again", (), again)
    assert recipe(demo.config) == recipe(other[0].config)
    assert recipe(demo.config) != recipe(other[1].config)  # loss.weight
    assert recipe(demo.config) != recipe(expand("demo", ("loss=ce", "seed=1"), again)[0].config)


def test_a_complete_run_of_another_experiment_is_copied(again: Path) -> None:
    source = made(expand("demo", ("loss=ce", "seed=0"), again)[0])
    runs = expand("again", (), again)
    assert same_runs(runs) == ({runs[0].name: source}, [])
    assert take_over(runs[0], source)
    assert runs[0].is_done
    assert not runs[1].is_done
    result = read_run(runs[0].folder)
    assert result.experiment == "again"
    assert {row.overrides for row in result.rows} == {"loss.weight=1"}
    assert [row.value for row in result.rows] == [0.5]
    assert json.loads((runs[0].folder / "provenance.json").read_text())["taken_from"] == f"demo/{source.name}"
    assert not (runs[0].folder / "checkpoints").exists()
    assert sorted(path.name for path in runs[0].folder.parent.iterdir()) == [
        runs[0].name
    ]  # nothing temporary


def test_a_copy_is_no_source_of_copies(again: Path) -> None:
    source = made(expand("demo", ("loss=ce", "seed=0"), again)[0])
    runs = expand("again", (), again)
    take_over(runs[0], source)
    for file in source.iterdir():
        if file.is_file():
            file.unlink()
    assert same_runs(expand("demo", ("loss=ce", "seed=0"), again)) == ({}, [])


def test_incomplete_and_unreadable_runs_are_no_sources(again: Path) -> None:
    source = made(expand("demo", ("loss=ce", "seed=0"), again)[0])
    (source / "config.yaml").write_text("{")
    assert same_runs(expand("again", (), again)) == ({}, [])
    (source / "COMPLETE").unlink()
    assert same_runs(expand("again", (), again)) == ({}, [])


def test_what_has_been_begun_is_not_replaced(again: Path) -> None:
    source = made(expand("demo", ("loss=ce", "seed=0"), again)[0])
    run = expand("again", (), again)[0]
    run.folder.mkdir(parents=True)
    (run.folder / "train.jsonl").write_text('{"step": 7}\n')
    assert not take_over(run, source)
    assert [path.name for path in run.folder.iterdir()] == ["train.jsonl"]


def test_the_launcher_copies_and_says_so(again: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = made(expand("demo", ("loss=ce", "seed=0"), again)[0])
    never = ["/bin/false"]
    assert main(["again", "loss.weight=1", "--list"], never, again) == 0
    assert f"same as demo/{source.name}" in capsys.readouterr().out
    assert main(["again", "loss.weight=1"], never, again) == 0  # nothing was left to train
    assert "1 runs are copies" in capsys.readouterr().err
    assert expand("again", ("loss.weight=1",), again)[0].is_done


def change(folder: Path, **values: object) -> None:
    path = folder / "provenance.json"
    write_json(path, read_json(path) | values)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"commit": "fedcba9876543210"}, "made by commit fedcba9876, this is 0123456789"),
        ({"commit": None}, "made by commit None"),
        ({"dirty": True}, "uncommitted changes"),
        (
            {"data": {"folder": "x", "records_sha256": "cd" * 32}},
            f"have the hash {HASH}, the run's had {'cd' * 32}",
        ),
        ({"data": {"folder": "gone", "records_sha256": HASH}}, "holds no finished data set"),
        ({"data": {"folder": "x"}}, "does not say"),
        ({"data": [1]}, "does not say"),
    ],
)
def test_other_code_and_other_data_are_no_source(
    again: Path, changes: dict[str, object], reason: str
) -> None:
    source = made(expand("demo", ("loss=ce", "seed=0"), again)[0])
    change(source, **changes)
    found, refused = same_runs(expand("again", (), again))
    assert found == {}
    assert len(refused) == 1
    assert reason in refused[0]
    found, refused = same_runs(expand("again", (), again), any_code=True)
    assert bool(found) == ("data" not in changes)  # the data must be the same whatever is asked


def test_changes_that_are_not_committed_are_no_source(again: Path) -> None:
    made(expand("demo", ("loss=ce", "seed=0"), again)[0])
    found, refused = same_runs(expand("again", (), again), now=NOW._replace(dirty=True))
    assert (found, len(refused)) == ({}, 1)


def test_a_run_that_is_not_copied_is_said_and_trained(
    again: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(made(expand("demo", ("loss=ce", "seed=0"), again)[0]), commit="fedcba9876543210")
    assert main(["again", "loss.weight=1"], ["/bin/false"], again) == 1  # what was to train it
    assert "is not copied from demo/" in (said := capsys.readouterr().err)
    assert "failed (exit code 1)" in said
    assert main(["again", "loss.weight=1", "--other-commits"], ["/bin/false"], again) == 0


def test_missing_leaves_out_what_is_collected(
    again: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(expand("demo", ("loss=ce", "seed=0"), again)[0])
    result = read_run(folder)
    Store(results).write_runs(result.rows, result.metrics)
    words = ["demo", "--list", "--missing", str(results)]
    assert main(words, ["/bin/false"], again) == 0
    said = capsys.readouterr()
    assert "1 of 4 runs are in" in said.err
    listed = [line.split()[0] for line in said.out.splitlines()[1:]]
    assert listed == [name for name in names(expand("demo", (), again)) if name != folder.name]


def test_a_tables_looks_do_not_make_a_run_another_one(conf: Path) -> None:
    run = expand("demo", ("loss=ce", "seed=0"), conf)[0]
    made(run)
    preset = conf / "experiment" / "demo.yaml"
    preset.write_text(preset.read_text().replace("A demonstration", "Another title"))
    assert expand("demo", ("loss=ce", "seed=0"), conf)[0].is_done
