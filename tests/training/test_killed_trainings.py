"""kill -9 twenty times at moments drawn at random, in one training: the weights are those of a training left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures import REPOSITORY, SMALL, in_folder
from test_resume import same_end, same_log

from ntil.io import read_json

KILLS = 20
STEPS = [
    *SMALL,
    "trainer.max_steps=120",
    "trainer.save_steps=1",  # most moments lie in a save
    "trainer.eval_steps=7",
    "trainer.eval_examples=2",
]


def start(folder: Path, name: str, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "train.py"), *STEPS, *words, *in_folder(folder), f"name={name}"],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_until_it_trains(process: "subprocess.Popen[str]", folder: Path) -> None:
    """Until the first checkpoint of this attempt is begun, or the process ends."""
    checkpoints = folder / "checkpoints"
    before = set(checkpoints.glob("*")) if checkpoints.exists() else set()
    while process.poll() is None and not (checkpoints.exists() and set(checkpoints.glob("*")) - before):
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_twenty_kills_leave_the_same_weights(tmp_path: Path) -> None:
    whole = start(tmp_path, "whole")
    assert whole.communicate(timeout=280)[0]
    assert whole.returncode == 0
    outputs = tmp_path / "outputs" / "runs"
    draw = random.Random(0)
    kills = 0
    for _ in range(3 * KILLS):
        process = start(tmp_path, "killed")
        wait_until_it_trains(process, outputs / "killed")
        time.sleep(draw.random() * 0.6)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
        if (outputs / "killed" / "COMPLETE").exists() or kills == KILLS:
            break
    print(f"{kills} kills")
    last = start(tmp_path, "killed")
    said = last.communicate(timeout=280)[0]
    assert last.returncode == 0, said
    assert kills == KILLS, "the run was complete before it had been killed often enough"
    same_end(outputs / "killed", outputs / "whole")
    same_log(outputs / "killed", outputs / "whole")
    assert len(read_json(outputs / "killed" / "provenance.json")["attempts"]) >= KILLS / 2
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]
    named = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _names(path, str(tmp_path))]
    assert not named


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("moment", ["checkpoints/checkpoint-2", ".model.*", "predictions.jsonl"])
def test_a_kill_in_the_midst_of_a_save(moment: str, tmp_path: Path) -> None:
    """As soon as the folder or file shows: half a checkpoint, half a model/, an evaluation without its metrics."""
    few = ["trainer.max_steps=4", "trainer.save_steps=2"]
    for name in ("whole", "killed"):
        process = start(tmp_path, name, *few)
        folder = tmp_path / "outputs" / "runs" / name
        while name == "killed" and process.poll() is None and not any(folder.glob(moment)):
            time.sleep(0.0005)
        if name == "killed":
            process.kill()
        process.communicate()
    assert not (folder / "COMPLETE").exists()
    again = start(tmp_path, "killed", *few)
    said = again.communicate(timeout=280)[0]
    assert again.returncode == 0, said
    same_end(folder, folder.with_name("whole"))
    same_log(folder, folder.with_name("whole"))
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


def _names(path: Path, folder: str) -> bool:
    try:
        return folder in path.read_bytes().decode(errors="replace")
    except OSError:  # it has ended
        return False
