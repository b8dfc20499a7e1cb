"""kill -9 at moments drawn at random, five times each: the same command ends with the same files, and nothing is left over."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_factory import realistic

from ntil.io import read_json, read_jsonl, sha256

ROOT = Path(__file__).resolve().parents[2]
KILLS = 5
SMALL = [
    "model=tiny",
    "loss=ce,ntil",
    "seed=0",
    "data.splits={train: 50, val: 4, test: 6}",
    "trainer.max_steps=6",
    "trainer.save_steps=2",
    "trainer.batch_size=8",
    "trainer.eval_steps=0",
    "trainer.log_steps=1",
    "evaluation.pictures=false",
    "evaluation.optional_splits=[]",
]


def start(module: str, *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", f"experiments.{module}", *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def end_of(process: "subprocess.Popen[bytes]") -> str:
    said = process.communicate(timeout=280)[0].decode()
    assert process.returncode == 0, said
    return said


def kill_after(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def processes_about(folder: Path) -> list[str]:
    """Command lines of processes that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended
            if os.fsencode(folder) in line:
                found.append(line.decode(errors="replace"))
    return found


def launch(folder: Path, data: Path) -> "subprocess.Popen[bytes]":
    places = [f"paths.outputs={folder}", f"paths.data={data}"]
    return start("launch", "arithmetic_table", *SMALL, *places, "--jobs", "2")


def learnt(folder: Path) -> dict[str, object]:
    runs = [path.parent for path in sorted(folder.glob("*/*/COMPLETE"))]
    return {
        run.name: (
            sha256(run / "model" / "model.safetensors"),
            list(read_jsonl(run / "predictions.jsonl")),
            read_json(run / "metrics.json")["splits"],
        )
        for run in runs
    }


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_a_killed_launcher(tmp_path: Path) -> None:
    began = time.monotonic()
    end_of(launch(tmp_path / "whole", tmp_path / "data"))
    spent, wanted = time.monotonic() - began, learnt(tmp_path / "whole")
    assert len(wanted) == 2
    chance = random.Random(0)
    for kill in range(KILLS):
        outputs = tmp_path / f"outputs{kill}"
        kill_after(launch(outputs, tmp_path / "data"), spent * chance.uniform(0.2, 0.95))
        end_of(launch(outputs, tmp_path / "data"))
        assert learnt(outputs) == wanted
        assert processes_about(outputs) == []
        assert list(outputs.rglob(".*.part")) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_killed_collect(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    for name in ("one", "two"):
        realistic(outputs, name, {"ce": 0.6, "emd": 0.7, "ntil": 0.8}, seeds=4, items=400)

    def collect(results: Path) -> "subprocess.Popen[bytes]":
        return start("collect", "--outputs", str(outputs), "--results", str(results))

    began = time.monotonic()
    end_of(collect(tmp_path / "whole"))
    spent, wanted = time.monotonic() - began, files_of(tmp_path / "whole")
    chance = random.Random(0)
    for kill in range(KILLS):
        results = tmp_path / f"results{kill}"
        kill_after(collect(results), spent * chance.uniform(0.5, 1))
        end_of(collect(results))
        assert files_of(results) == wanted
    assert processes_about(tmp_path) == []


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
