"""Ctrl-C while a command starts: no traceback, exit code 130."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ntil.startup import ROOT, is_command

COMMANDS = [
    ["train.py", "task=clock", "trainer.dry_run=true"],
    ["evaluate.py", "run=nowhere"],
    ["-m", "data_prep", "list"],
    ["-m", "experiments.collect", "--help"],
    ["-m", "ntil", "explain", "1", "2"],
    ["-m", "ntil", "view", "nowhere"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_ctrl_c_during_the_imports(words: list[str]) -> None:
    """As soon as torch is being imported, which is after the handler's turn and long before the command's own."""
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while process.poll() is None and "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert err == b"Interrupted.\n"


@pytest.mark.parametrize(
    ("typed", "ours"),
    [
        (["python", "-m", "ntil.models.convert", "a"], True),
        (["python", "-X", "dev", "-m", "experiments.launch"], True),
        (["python", str(ROOT / "train.py"), "task=clock"], True),
        (["python", "/somewhere/train.py"], False),
        (["python", "-m", "pytest", "train.py"], False),
        (["python", "-c", "import ntil"], False),
        (["python"], False),
    ],
)
def test_the_handler_is_for_commands_alone(typed: list[str], ours: bool) -> None:
    assert is_command(typed) is ours
