"""Run folders: one process at a time, one configuration for good, and a record of what made the numbers."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures import REPOSITORY
from omegaconf import DictConfig, OmegaConf

from ntil.errors import UserError
from ntil.io import read_json, write_json
from ntil.runs import Run
from ntil.runs.processes import available_threads
from ntil.runs.sameness import differences

CONFIG = {"experiment_name": "e", "name": "n", "seed": 0, "loss": {"weight": 0.3}, "logger": {"name": "none"}}


def config(folder: Path, **changes: Any) -> DictConfig:
    cfg = OmegaConf.merge(CONFIG, {"paths": {"outputs": str(folder)}}, changes)
    assert isinstance(cfg, DictConfig)
    return cfg


def begun(folder: Path, **changes: Any) -> Path:
    """A run with a checkpoint, closed again."""
    run = Run.open(config(folder, **changes))
    (run.folder / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    run.close()
    return run.folder


OPEN = """
import sys
from omegaconf import OmegaConf
from ntil.errors import UserError
from ntil.runs import Run
for config in {configs!r}:
    try:
        Run.open(OmegaConf.create(config))
        print("opened")
    except UserError as error:
        print("refused:", error)
"""


def opened_by_another_process(*configs: DictConfig) -> list[str]:
    code = OPEN.format(configs=[OmegaConf.to_container(cfg, resolve=True) for cfg in configs])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    cfg = config(tmp_path)
    run = Run.open(cfg)
    first, second = opened_by_another_process(cfg, config(tmp_path, name="other"))
    assert first.startswith("refused:")
    assert "another process" in first
    assert second == "opened"
    run.close()
    Run.open(cfg).close()


def test_the_folder_is_named_by_the_config(tmp_path: Path) -> None:
    run = Run.open(config(tmp_path), ["seed=0"])
    assert run.folder == tmp_path / "e" / "n"
    assert OmegaConf.load(run.config_path) == config(tmp_path)
    assert OmegaConf.load(run.folder / "overrides.yaml") == ["seed=0"]
    assert not run.is_complete


@pytest.mark.parametrize("free", [{"logger": {"name": "wandb"}}, {"paths": {"data": "elsewhere"}}])
def test_what_changes_no_result_may_change(free: dict[str, Any], tmp_path: Path) -> None:
    begun(tmp_path)
    Run.open(config(tmp_path, **free)).close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss": {"weight": 0.5}}, "loss.weight: 0.3 → 0.5"),
        ({"seed": 1}, "seed: 0 → 1"),
        ({"loss": {"extra": 1}}, "loss.extra: None → 1"),
    ],
)
def test_a_changed_configuration_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    folder = begun(tmp_path)
    before = (folder / "config.yaml").read_bytes()
    with pytest.raises(UserError, match=re.escape(words)):
        Run.open(config(tmp_path, **change))
    assert (folder / "config.yaml").read_bytes() == before
    Run.open(config(tmp_path)).close()  # the refusal let go of the lock


@pytest.mark.parametrize(
    "value", [1e-05, 1e22, 0.1, True, None, "1e-3", "yes", "null", "3:25", " a ", "", [1, "2"], "ünï", -0.0]
)
def test_any_value_survives_the_folder(value: Any, tmp_path: Path) -> None:
    begun(tmp_path, setting=value)
    Run.open(config(tmp_path, setting=value)).close()


def test_before_training_the_settings_may_change(tmp_path: Path) -> None:
    Run.open(config(tmp_path)).close()
    run = Run.open(config(tmp_path, seed=1))
    assert run.config.seed == 1


def test_complete_comes_last(tmp_path: Path) -> None:
    run = Run.open(config(tmp_path))
    with pytest.raises(TypeError, match="JSON"):
        run.complete({"exact": object()})
    assert not run.is_complete
    run.complete({"exact": float("nan")})
    assert read_json(run.folder / "metrics.json") == {"exact": None, "not_finite": {"/exact": "nan"}}
    run.complete({"exact": 0.5})
    assert run.is_complete
    assert read_json(run.folder / "metrics.json") == {"exact": 0.5}
    Run.open(config(tmp_path)).close()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [("a.c", 2, 3)]),
        ({"a": 1}, {}, [("a", 1, None)]),
        ({}, {"a": {"b": 1}}, [("a", None, {"b": 1})]),
        ({"a": [1, 2]}, {"a": [2, 1]}, [("a", [1, 2], [2, 1])]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"b": 1, "a": 1}, {"a": 2, "b": 2}, [("a", 1, 2), ("b", 1, 2)]),
    ],
)
def test_differences(old: Any, new: Any, expected: list[Any]) -> None:
    assert list(differences(old, new)) == expected


def test_provenance_says_what_made_the_numbers(finished: Path, small_data: Path) -> None:
    said = read_json(finished / "provenance.json")
    assert said["seed"] == 0
    assert len(said["starts"]) == 1
    assert re.fullmatch(r"[0-9a-f]{40}", said["commit"] or "0" * 40)
    assert isinstance(said["dirty"], bool)
    assert said["packages"]["torch"].split("+")[0].count(".") == 2
    assert all(said["packages"][name] for name in ("ntil", "transformers", "numpy", "omegaconf"))
    assert said["device"]
    assert said["threads"] == 1
    manifest = read_json(small_data / "manifest.json")
    assert said["data"]["counts"] == manifest["counts"]
    assert said["data"] == {"folder": str(small_data), **manifest}


def test_a_run_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.yaml"):
        Run.load(tmp_path)
    folder = begun(tmp_path)
    with pytest.raises(UserError, match="no trained model"):
        Run.load(folder)


@pytest.mark.parametrize(
    ("given", "jobs", "least"), [("3", 1, 3), ("3", 2, 3), (None, 1, 1), (None, 10**6, 1)]
)
def test_threads(given: str | None, jobs: int, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert available_threads(jobs) == least or (given is None and jobs == 1)


def scored(folder: Path, **evaluation: Any) -> Run:
    """The run, opened with these evaluation settings, its results put aside where they are others'."""
    cfg = config(folder, evaluation={"splits": None, "limit": None, **evaluation})
    run = Run.open(cfg)
    run.score_anew(cfg, [f"evaluation.{key}={value}" for key, value in evaluation.items()])
    return run


def finish(run: Run, metrics: dict[str, Any]) -> None:
    (run.folder / "model").mkdir(exist_ok=True)
    write_json(run.folder / "predictions.jsonl", metrics)
    (run.folder / "predictions_test.png").write_text("")
    run.complete(metrics)


def test_other_evaluation_settings_keep_what_was_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(scored(tmp_path), {"first": 1})
    again = scored(tmp_path, limit=5)
    assert not again.is_complete
    assert (again.folder / "model").exists()
    assert again.config.evaluation.limit == 5
    assert OmegaConf.load(again.folder / "overrides.yaml") == ["evaluation.limit=5"]
    assert {path.name for path in again.folder.iterdir()} == {
        "config.yaml",
        "overrides.yaml",
        "model",
        "earlier",
    }
    assert "evaluation.limit: None → 5" in capsys.readouterr().out
    earlier = again.folder / "earlier" / "1"
    assert read_json(earlier / "metrics.json") == {"first": 1}
    assert {"predictions.jsonl", "predictions_test.png"} <= {path.name for path in earlier.iterdir()}
    assert OmegaConf.load(earlier / "config.yaml").evaluation.limit is None
    assert OmegaConf.load(earlier / "overrides.yaml") == []
    finish(again, {"second": 2})
    scored(tmp_path).close()
    assert read_json(again.folder / "earlier" / "2" / "metrics.json") == {"second": 2}


def test_opening_a_run_alone_changes_nothing(tmp_path: Path) -> None:
    """What is asked for is checked first: a mistyped split must not cost a finished run."""
    run = scored(tmp_path)
    finish(run, {"first": 1})
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    Run.open(config(tmp_path, evaluation={"splits": ["tset"], "limit": None})).close()
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before


def test_the_same_evaluation_settings_leave_a_complete_run_alone(tmp_path: Path) -> None:
    finish(scored(tmp_path), {"first": 1})
    again = scored(tmp_path)
    assert again.is_complete
    assert not (again.folder / "earlier").exists()
    again.close()


def test_without_its_weights_a_run_cannot_be_scored_anew(tmp_path: Path) -> None:
    run = scored(tmp_path)
    finish(run, {"first": 1})
    (run.folder / "model").rmdir()
    with pytest.raises(UserError, match="neither model/ nor a checkpoint"):
        scored(tmp_path, limit=5)
    assert run.is_complete
    assert read_json(run.folder / "metrics.json") == {"first": 1}
    Run.open(run.config).close()  # the refusal let go of the lock


def test_a_run_in_training_takes_other_evaluation_settings(tmp_path: Path) -> None:
    run = scored(tmp_path)
    (run.folder / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    run.close()
    again = scored(tmp_path, limit=5)
    assert again.config.evaluation.limit == 5
    assert not (again.folder / "earlier").exists()
    again.close()


def test_another_training_is_refused_whatever_the_evaluation(tmp_path: Path) -> None:
    run = scored(tmp_path)
    finish(run, {"first": 1})
    with pytest.raises(UserError, match=r"seed: 0 → 1"):
        Run.open(config(tmp_path, seed=1, evaluation={"splits": None, "limit": 5}))
    assert run.is_complete
    assert read_json(run.folder / "metrics.json") == {"first": 1}
