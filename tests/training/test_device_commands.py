"""Each command of README and docs that starts several processes, with two of them, on a twin and a few steps."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures import REPOSITORY, in_folder
from several import POSING

from ntil.io import read_json

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
SEVERAL = re.compile(r"torchrun |accelerate launch|tasks_per_node")
FEW = [
    "data.size=64",
    "data.splits={train: 64, val: 4, test: 7, heldout_faces: 4}",
    "trainer=default",
    "trainer.max_steps=2",
    "trainer.batch_size=4",
    "trainer.eval_steps=2",
    "trainer.log_steps=1",
    "evaluation.pictures=false",
    "evaluation.optional_splits=[]",
]
NEEDS_A_GPU = ("trainer.liger=true", "trainer.tf32=true", "model.tuning.quantize=4bit")


def commands() -> list[str]:
    """The whole ones in fenced blocks and in tables; `…` marks what is none."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [
            line for fence in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in fence.splitlines()
        ]
        lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        found += [
            line.strip() for line in lines if SEVERAL.search(line) and ".py" in line and "…" not in line
        ]
    return sorted(dict.fromkeys(re.split(r"\s+#", command)[0] for command in found))


def test_there_are_such_commands() -> None:
    assert {command.split()[0] for command in commands()} >= {"torchrun", "accelerate", "python"}


def on_two_cpus(command: str) -> list[str]:
    """The same with two processes of this machine and the twin of its model."""
    command = re.sub(r"--nproc-per-node \S+", "--standalone --nproc-per-node 2", command)
    command = re.sub(r"--num_processes \S+", "--num_processes 2", command)
    command = re.sub(r"model=(\w+?)(_tiny)?(?= |$)", r"model=\1_tiny", command).replace(
        "model=tiny_tiny", "model=tiny"
    )
    command = command.replace("hydra/launcher=slurm", "hydra/launcher=submitit_local")
    command = re.sub(r"tasks_per_node=\d+", "tasks_per_node=2", command)
    command = re.sub(r" hydra\.launcher\.(nodes|gpus_per_node|partition)=\S+", "", command)
    words = command.split()
    here = {
        "torchrun": [sys.executable, "-m", "torch.distributed.run"],
        "accelerate": [sys.executable, "-m", "accelerate.commands.accelerate_cli"],
        "python": [sys.executable],
    }
    words = [str(REPOSITORY / word) if word.endswith(".py") else word for word in words[1:]]
    return [*here[command.split()[0]], *words]


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_the_command_runs(command: str, tmp_path: Path) -> None:
    if any(setting in command for setting in NEEDS_A_GPU):
        pytest.skip("it needs a GPU")
    if "evaluate.py" in command or "predict.py" in command:
        pytest.skip("tests/evaluation starts these two")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if "trainer.sharding" in command:
        environment["PYTHONPATH"] = str(POSING)
    done = subprocess.run(
        [*on_two_cpus(command), *FEW, *in_folder(tmp_path)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs = list((tmp_path / "outputs").glob("runs/*/COMPLETE"))
    assert len(runs) == (2 if "loss=ce,ntil" in command else 1), done.stdout + done.stderr
    for run in runs:
        assert read_json(run.with_name("provenance.json"))["processes"] == 2
