"""Engines that divide a training: what is refused before it starts, and what a checkpoint of theirs may hold."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.utils import DistributedType
from omegaconf import OmegaConf

from ntil.checkout import CONF
from ntil.errors import UserError
from ntil.io import write_json, write_text
from ntil.settings import load_settings
from ntil.training import sharding
from ntil.training.sampling import LengthGrouped
from ntil.training.settings import TrainerSettings
from ntil.training.states import check_checkpoint

LOADED = load_settings(TrainerSettings, OmegaConf.load(CONF / "trainer" / "default.yaml"), "trainer")


class Danger:
    """Unpickling it would run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch /tmp/opened_by_a_checkpoint",)


@pytest.mark.parametrize("engine", ["fsdp", "zero2", "zero3"])
def test_one_process_has_nothing_to_divide(engine: str) -> None:
    with pytest.raises(UserError, match=f"trainer.sharding={engine} divides a training among processes"):
        sharding.check_sharding(replace(LOADED, sharding=engine))


def test_cpus_would_quietly_train_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "count", lambda: 2)
    with pytest.raises(UserError, match="needs GPUs"):
        sharding.check_sharding(replace(LOADED, sharding="fsdp"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "count", lambda: 2)
    monkeypatch.setattr(sharding, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install deepspeed"):
        sharding.check_sharding(replace(LOADED, sharding="zero3"))


def test_another_precision_of_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.raises(UserError, match="configured for bf16, and"):
        sharding.check_sharding(LOADED)
    sharding.check_sharding(replace(LOADED, precision="bf16"))


@pytest.mark.parametrize(
    ("asked", "taken", "fits"),
    [
        ("none", "MULTI_GPU", True),
        ("none", "FSDP", False),
        ("none", "DEEPSPEED", False),
        ("fsdp", "FSDP", True),
        ("fsdp", "MULTI_GPU", False),
        ("zero2", "DEEPSPEED", True),
        ("zero3", "FSDP", False),
    ],
)
def test_the_engine_is_the_one_asked_for(asked: str, taken: str, fits: bool) -> None:
    """`accelerate config` may name another."""
    trainer = SimpleNamespace(accelerator=SimpleNamespace(distributed_type=DistributedType[taken]))
    if fits:
        sharding.check_engine(trainer, replace(LOADED, sharding=asked))
    else:
        with pytest.raises(
            UserError, match=f"trainer.sharding={asked} was asked for, and accelerate took {taken}"
        ):
            sharding.check_engine(trainer, replace(LOADED, sharding=asked))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint-4"
    folder.mkdir()
    write_json(folder / "trainer_state.json", {"global_step": 4})
    return folder


def test_states_of_fsdp_are_tensors(checkpoint: Path) -> None:
    torch.save(
        {"state": {"a": {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
        checkpoint / "optimizer.bin",
    )
    check_checkpoint(checkpoint, "fsdp")
    with pytest.raises(UserError, match=r"optimizer\.bin is of no kind that a checkpoint has"):
        check_checkpoint(checkpoint, "none")
    torch.save(Danger(), checkpoint / "optimizer.bin")
    with pytest.raises(UserError, match=r"optimizer\.bin would call posix\.system"):
        check_checkpoint(checkpoint, "fsdp")


def test_states_of_deepspeed_are_tensors(checkpoint: Path) -> None:
    folder = checkpoint / "global_step4"
    folder.mkdir()
    write_text(checkpoint / "latest", "global_step4")
    torch.save({"module": {"a": torch.ones(2)}}, folder / "mp_rank_00_model_states.pt")
    check_checkpoint(checkpoint, "zero2")
    with pytest.raises(UserError, match="is a folder"):
        check_checkpoint(checkpoint, "fsdp")
    torch.save(Danger(), folder / "zero_pp_rank_1_mp_rank_00_optim_states.pt")
    with pytest.raises(UserError, match=r"optim_states\.pt would call posix\.system"):
        check_checkpoint(checkpoint, "zero2")


@pytest.mark.parametrize("named", ["../../elsewhere", "global_step8", ""])
def test_deepspeed_reads_no_other_folder(checkpoint: Path, named: str) -> None:
    (checkpoint / "global_step4").mkdir()
    write_text(checkpoint / "latest", named)
    with pytest.raises(UserError, match="does not name global_step4"):
        check_checkpoint(checkpoint, "zero3")


@pytest.mark.parametrize("file", ["zero_to_fp32.py", "global_step4/run.py"])
def test_code_in_a_checkpoint_is_refused(checkpoint: Path, file: str) -> None:
    (checkpoint / "global_step4").mkdir()
    write_text(checkpoint / file, "import os")
    with pytest.raises(UserError, match=file):
        check_checkpoint(checkpoint, "zero3")


def test_similar_lengths_follow_each_other() -> None:
    lengths = [(7 * i) % 50 for i in range(200)]
    sampler = LengthGrouped(lengths, batch=10, seed=3)
    first = list(sampler)
    assert sorted(first) == list(range(200))
    spread = [
        max(lengths[i] for i in first[k : k + 10]) - min(lengths[i] for i in first[k : k + 10])
        for k in range(0, 200, 10)
    ]
    assert max(spread) <= 20  # of 50; ten at random are some 40 apart
    assert list(sampler) == first  # the epoch decides, not how often it was asked
    sampler.set_epoch(1)
    assert list(sampler) != first
    again = LengthGrouped(lengths, batch=10, seed=3)
    again.set_epoch(1)
    assert list(again) == list(sampler)
