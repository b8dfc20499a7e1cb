"""A process that is killed is a message, and the other runs of a sweep go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures import REPOSITORY
from joblib.externals.loky.process_executor import TerminatedWorkerError
from omegaconf import OmegaConf
from torch.utils.data import DataLoader, Dataset

import data_prep
from ntil.errors import UserError
from ntil.runs.cli import ATTEMPTS, again_after_killed_workers, loading_workers_named


class Killed(Dataset[int]):
    """Its second item kills the process that loads it."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        if index == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


def test_a_killed_loader_is_named() -> None:
    with (
        pytest.raises(UserError, match=r"loads data has died.*DataLoader worker.*The same command resumes"),
        loading_workers_named(),
    ):
        list(DataLoader(Killed(), num_workers=1))


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(RuntimeError, match="a bug"), loading_workers_named():
        raise RuntimeError("a bug")


@pytest.mark.parametrize("times", range(ATTEMPTS + 1))
def test_a_sweep_goes_on(times: int, capsys: pytest.CaptureFixture[str]) -> None:
    calls = []

    def sweep() -> None:
        calls.append(1)
        if len(calls) <= times:
            raise TerminatedWorkerError("A worker process was unexpectedly terminated.\nmore")

    if times < ATTEMPTS:
        again_after_killed_workers(sweep)
    else:
        with pytest.raises(UserError, match="n_jobs=1"):
            again_after_killed_workers(sweep)
    assert len(calls) == min(times + 1, ATTEMPTS)
    assert capsys.readouterr().err.count("the sweep goes on") == min(times, ATTEMPTS - 1)


def children_of_joblib(outputs: Path) -> list[int]:
    """Workers of the sweep that writes to `outputs`."""
    parents = {pid for pid, line in _processes() if os.fsencode(outputs) in line}
    return [
        pid for pid, line in _processes() if b"loky" in line and b"popen" in line and _parent(pid) in parents
    ]


def _processes() -> list[tuple[int, bytes]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((int(entry.name), (entry / "cmdline").read_bytes()))
            except OSError:
                continue
    return found


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_a_killed_process_of_joblib(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    sums = OmegaConf.load(REPOSITORY / "conf" / "data" / "sums_easy.yaml")
    sums.splits.update({"train": 50, "val": 4, "test": 6})  # as the override below does
    data_prep.ensure(OmegaConf.to_container(sums), tmp_path / "data")
    command = [
        *(sys.executable, "train.py", "-m", "task=arithmetic", "model=tiny", "loss=ce,ntil"),
        *("data.splits={train: 50, val: 4, test: 6}", "trainer.max_steps=300", "trainer.save_steps=50"),
        *(
            "trainer.batch_size=8",
            "trainer.eval_steps=0",
            "trainer.log_steps=1",
            "evaluation.optional_splits=[]",
        ),
        *("evaluation.pictures=false", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
        *(f"paths.outputs={outputs}", f"paths.data={tmp_path / 'data'}"),
    ]
    sweep = subprocess.Popen(
        command, cwd=REPOSITORY, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 300
    while not list(outputs.rglob("train.jsonl")):
        assert time.monotonic() < end
        assert sweep.poll() is None
        time.sleep(0.2)
    os.kill(children_of_joblib(outputs)[0], signal.SIGKILL)
    said = sweep.communicate(timeout=500)[1]
    assert sweep.returncode == 0, said
    assert "the sweep goes on" in said
    assert len(list(outputs.rglob("COMPLETE"))) == 2
