"""Two processes of one command, as torchrun starts them, on CPUs; on request posing as GPUs."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from fixtures import REPOSITORY
from safetensors.torch import load_file

from ntil.io import read_json, read_jsonl

POSING = REPOSITORY / "tests" / "posing"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SUMS = [
    "task=arithmetic",
    "model=tiny",
    "loss=ntil",
    "loss.balance=none",
    "loss.number.noise_scale=0",
    "data.splits={train: 200, val: 4, test: 7}",
    "trainer.max_steps=8",
    "trainer.eval_steps=4",
    "trainer.save_steps=4",
    "trainer.log_steps=1",
    "trainer.keep_when_complete=true",
    "evaluation.optional_splits=[]",
    "evaluation.pictures=false",
]


class Ended(NamedTuple):
    code: int
    said: str  # on both streams


def start(command: str, *arguments: str, posing: bool = False) -> subprocess.Popen[str]:
    """`torchrun COMMAND.py ARGUMENTS` in this folder, in a group of its own. command: of the checkout, or a path."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    if posing:
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(POSING), environment.get("PYTHONPATH", "")])
        )
    return subprocess.Popen(
        [*TORCHRUN, str(REPOSITORY / f"{command}.py"), *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def torchrun(command: str, *arguments: str, posing: bool = False, seconds: float = 240) -> Ended:
    process = start(command, *arguments, posing=posing)
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        raise AssertionError(f"it hangs:\n{said}") from None
    return Ended(process.returncode, said)


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that torchrun has started, by their rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            environment = (path.parent / "environ").read_text()
        except (OSError, ValueError):
            continue
        if parent == process.pid and (rank := re.search(r"\0RANK=(\d+)", environment)):
            found[int(rank[1])] = int(path.parent.name)
    return [pid for _, pid in sorted(found.items())]


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, f"it ended before {path} was there"
        assert time.monotonic() < end, f"{path} does not appear"
        time.sleep(0.01)


class Differences(NamedTuple):
    """The greatest between two runs."""

    loss: float
    parts: float
    norm: float  # of the gradient
    weights: float


def differences(one: Path, other: Path) -> Differences:
    """Both must have logged the same steps, and saved the same weights."""
    logs: list[list[dict[str, Any]]] = [
        [row for row in read_jsonl(run / "train.jsonl") if "loss" in row] for run in (one, other)
    ]
    assert [row["step"] for row in logs[0]] == [row["step"] for row in logs[1]]
    assert [row.keys() for row in logs[0]] == [row.keys() for row in logs[1]]

    def worst(*names: str) -> float:
        pairs = zip(*logs, strict=True)
        return max(abs(a[name] - b[name]) for a, b in pairs for name in names)

    file = next((one / "model").glob("*.safetensors")).name
    weights, others = (load_file(run / "model" / file) for run in (one, other))
    assert weights.keys() == others.keys()
    furthest = max(float((weights[name] - others[name]).abs().max()) for name in weights)
    parts = [name for name in logs[0][0] if name not in ("step", "loss", "grad_norm", "learning_rate")]
    return Differences(worst("loss"), worst(*parts), worst("grad_norm"), furthest)


def same_results(one: Path, other: Path) -> None:
    first, second = (read_json(run / "metrics.json")["splits"] for run in (one, other))
    assert first == second
    assert (one / "predictions.jsonl").read_bytes() == (other / "predictions.jsonl").read_bytes()
