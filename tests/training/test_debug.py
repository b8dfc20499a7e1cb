"""`debug=…` as it is typed: short runs that leave no doubt what they are."""

import re
from pathlib import Path
from typing import Any

import fixtures
import pytest
from fixtures import REPOSITORY, run

from data_prep.registry import request
from ntil.errors import UserError
from ntil.io import read_json, write_jsonl
from ntil.training.one_batch import overfitting_report

in_tmp_path = fixtures.in_tmp_path
TASKS = sorted(path.stem for path in (REPOSITORY / "conf" / "task").glob("*.yaml"))


def debugged(folder: Path, *typed: str) -> tuple[Any, Path]:
    ran = run("train", *typed, *fixtures.in_folder(folder), "evaluation.pictures=false")
    assert ran.code == 0, ran.err
    (made,) = (folder / "outputs").glob("*/[!.]*")
    assert made.parent.name == "debug"
    assert re.match(r"20\d\d-\d\d-\d\d-\d\d-\d\d-\d\d-\w+-tiny-", made.name)
    assert (made / "COMPLETE").exists()
    return ran, made


def test_ten_steps_from_data_to_metrics(tmp_path: Path) -> None:
    _, made = debugged(tmp_path, "debug=default", "task=arithmetic")
    assert sorted(fixtures.losses(made)) == list(range(1, 11))
    assert {split["count"] for split in read_json(made / "metrics.json")["splits"].values()} == {8}
    assert max(read_json(made / "provenance.json")["data"]["counts"].values()) <= 64


def test_a_second_run_is_not_skipped(tmp_path: Path) -> None:
    typed = ("debug=default", "task=arithmetic", "trainer.max_steps=1", "trainer.eval_steps=0")
    for _ in range(2):
        ran = run("train", *typed, *fixtures.in_folder(tmp_path), "evaluation.pictures=false")
        assert ran.code == 0, ran.err
        assert "is complete" not in ran.out
    assert len(list((tmp_path / "outputs" / "debug").glob("*/COMPLETE"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_task_runs_with_the_tiny_model(task: str, tmp_path: Path) -> None:
    debugged(tmp_path, "debug=default", f"task={task}", "trainer.max_steps=2", "trainer.eval_steps=0")


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["ce", "ntil"])
def test_one_batch_is_learnt_by_heart(loss: str, tmp_path: Path) -> None:
    ran, made = debugged(tmp_path, "debug=overfit", f"loss={loss}")
    assert "overfit: yes, the loss of the one batch went from " in ran.out
    metrics = read_json(made / "metrics.json")["splits"]["train"]
    assert metrics["count"] == 16
    assert metrics["metrics"]["exact"] == 1.0


def test_what_is_not_learnt_is_said(tmp_path: Path) -> None:
    ran, _ = debugged(
        tmp_path, "debug=overfit", "task=arithmetic", "trainer.learning_rate=0", "trainer.max_steps=20"
    )
    assert "overfit: NO, the loss of the one batch went from " in ran.out


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([4.0, 1.0, 0.05], "yes, "),
        ([4.0, 0.2], "NO, "),
        ([4.0], "nothing to compare"),
        ([], "nothing to compare"),
    ],
)
def test_the_verdict(losses: list[float], said: str, tmp_path: Path) -> None:
    rows = [{"step": step, "loss": loss} for step, loss in enumerate(losses)]
    write_jsonl(tmp_path / "train.jsonl", [*rows, {"step": 9, "val/exact": 1.0}])
    assert overfitting_report(tmp_path / "train.jsonl").startswith(f"overfit: {said}")


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "few"])
def test_at_most_is_checked(most: Any) -> None:
    with pytest.raises(UserError, match=r"data\.at_most must be a whole number of at least 1"):
        request({"builder": "sums", "at_most": most})
