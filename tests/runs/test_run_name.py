"""A run's folder is named after what was typed, so that no two settings share one."""

from pathlib import Path

import pytest
from fixtures import run


def name(*overrides: str) -> str:
    ran = run("train", *overrides, "--cfg", "job", "--package", "name", "--resolve")
    assert ran.code == 0, ran.err
    return ran.out.strip().splitlines()[-1].removeprefix("name: ").strip("'")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "clock-tiny-ntil-seed0"),
        (["loss=emd", "seed=3"], "clock-tiny-emd-seed3"),
        (
            ["trainer.max_steps=5", "loss.weight=0.5"],
            "clock-tiny-ntil-seed0,loss.weight=0.5,trainer.max_steps=5",
        ),
        (["data=clock_hard"], "clock-tiny-ntil-seed0,data=clock_hard"),
        (["+data.x=1"], "clock-tiny-ntil-seed0,data.x=1"),
        (["paths.outputs=/a/b", "logger=wandb", "logger.mode=offline"], "clock-tiny-ntil-seed0"),
        (["experiment=clock_demo"], "clock-tiny-ntil-seed0"),
        (["model=qwen2vl_tiny", "model/tuning=lora"], "clock-qwen2vl_tiny-ntil-seed0,model_tuning=lora"),
    ],
)
def test_names(overrides: list[str], expected: str) -> None:
    assert name(*overrides) == expected


def test_the_order_of_typing_does_not_matter() -> None:
    typed = ["trainer.max_steps=5", "loss.weight=0.5", "seed=1"]
    assert name(*typed) == name(*reversed(typed))


def test_a_name_is_a_folder_name() -> None:
    made = name("data.splits={train: 5, val: 1}", "task.question='a/b ü'")
    assert Path(made).name == made
    assert len(made.encode()) <= 200


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["task.question='a/b'"], ["task.question='a b'"]),  # signs that no file name can hold
        (["task.question=a_b"], ["task.question='a b'"]),
        ([f"task.question={'x' * 240}1"], [f"task.question={'x' * 240}2"]),  # cut
        ([f"task.question='{'ü' * 120}1'"], [f"task.question='{'ü' * 120}2'"]),  # in bytes
    ],
)
def test_no_two_settings_share_a_name(one: list[str], other: list[str]) -> None:
    assert name(*one) != name(*other)
    assert max(len(name(*typed).encode()) for typed in (one, other)) <= 200


def test_settings_of_the_evaluation_are_no_part_of_a_name() -> None:
    """They concern no training: the same run is scored with them."""
    typed = ["evaluation.limit=5", "evaluation.splits=[val]", "loss.weight=0.5"]
    assert name(*typed) == "clock-tiny-ntil-seed0,loss.weight=0.5"


@pytest.mark.parametrize(
    "given", ["name=a/b", "name=.x", "name=..", "name=''", "experiment_name=../x", f"name={'y' * 201}"]
)
def test_names_that_would_never_be_collected_are_refused(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("train", given, f"paths.outputs={tmp_path / 'outputs'}")
    assert ran.code == 2
    assert given.partition("=")[0] in ran.err
    assert not list(tmp_path.iterdir())
