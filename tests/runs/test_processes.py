"""What can be known about several processes in one."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fixtures import run
from omegaconf import OmegaConf

from ntil.checkout import CONF
from ntil.errors import UserError
from ntil.runs import processes
from ntil.runs.processes import available_threads
from ntil.runs.sameness import check_same_processes
from ntil.settings import load_settings
from ntil.training.checks import check_batch_size
from ntil.training.fit import _refuse_fewer_steps
from ntil.training.settings import OneDeviceArguments, TrainerSettings


def several(monkeypatch: pytest.MonkeyPatch, count: int = 2, rank: int = 0) -> None:
    for name, value in {"WORLD_SIZE": count, "RANK": rank, "LOCAL_RANK": rank}.items():
        monkeypatch.setenv(name, str(value))


def settings(**changes: object) -> TrainerSettings:
    loaded = load_settings(TrainerSettings, OmegaConf.load(CONF / "trainer" / "default.yaml"), "trainer")
    return replace(loaded, **changes)  # type: ignore[arg-type]


def test_one_process_is_the_first_and_has_all_parts() -> None:
    assert (processes.count(), processes.rank(), processes.is_first()) == (1, 0, True)
    processes.join()
    assert processes.by_first(lambda: 3) == 3
    assert processes.gathered("a") == ["a"]
    processes.wait_for_all()
    processes.leave()


def test_a_mistake_of_the_first_is_raised() -> None:
    def mistaken() -> None:
        raise UserError("no")

    with pytest.raises(UserError, match=r"^no$"):
        processes.by_first(mistaken)


@pytest.mark.parametrize("value", ["two", "-1", "2.0", ""])
def test_an_environment_that_counts_no_processes(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", value)
    with pytest.raises(UserError, match=f"WORLD_SIZE={value!r}"):
        processes.count()


def test_processes_that_no_launcher_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some containers set WORLD_SIZE and nothing else; waiting for the others would never end."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        UserError, match="MASTER_ADDR, MASTER_PORT, LOCAL_RANK; start the processes with torchrun"
    ):
        processes.join()


def test_a_sweep_is_not_for_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    several(monkeypatch)
    ran = run("train", "-m", "seed=0,1")
    assert ran.code == 2
    assert "-m asks for several" in ran.err


def test_several_visible_gpus_and_one_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One is used, and how to use all is said; DataParallel is never taken."""
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    processes.join()
    assert taken == [0]
    assert (
        "4 GPUs are visible and this command uses one; torchrun --nproc-per-node 4" in capsys.readouterr().out
    )
    monkeypatch.undo()
    arguments = OneDeviceArguments(output_dir=str(tmp_path), use_cpu=True)
    for visible, used in ((4, 1), (1, 1), (0, 0)):
        arguments._n_gpu = visible
        assert (arguments.n_gpu, arguments.parallel_mode.value) == (used, "not_parallel")


def test_each_process_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a model is loaded, so that 4-bit weights lie there, too."""
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(processes, "_control", {"group": "met already"})
    several(monkeypatch, rank=1)
    processes.join()
    assert taken == [1]
    several(monkeypatch, count=3, rank=2)
    with pytest.raises(
        UserError, match=re.escape("3 processes or more were started on this machine, which shows 2 GPUs")
    ):
        processes.join()


def test_batches_are_of_all_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = settings(batch_size=8)
    check_batch_size(asked, 12, tmp_path)
    several(monkeypatch)
    with pytest.raises(UserError, match="batch_size=8 × 2 processes exceeds the 12 training examples"):
        check_batch_size(asked, 12, tmp_path)
    check_batch_size(asked, 16, tmp_path)


def test_fewer_steps_are_no_complete_run() -> None:
    asked = settings(max_steps=5)
    _refuse_fewer_steps(5, asked, [0] * 12)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="ended after 0 of 5 steps: 12 examples"):
        _refuse_fewer_steps(0, asked, [0] * 12)  # type: ignore[arg-type]


def test_other_processes_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_same_processes(tmp_path, 1, 16)
    with pytest.raises(UserError, match="begun by 2 processes of 16 examples, and this is a command of 1"):
        check_same_processes(tmp_path, 2, 16)
    several(monkeypatch)
    check_same_processes(tmp_path, 2, 16)


def test_threads_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    alone = available_threads()
    several(monkeypatch, count=2)
    assert available_threads() == max(1, alone // 2)
