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
    made = name("evaluation.splits=[test,val]", "data.splits={train: 5, val: 1}", "task.question='a/b ü'")
    assert Path(made).name == made
    assert len(made) <= 200
