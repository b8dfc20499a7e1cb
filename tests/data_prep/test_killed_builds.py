"""A build that is killed, interrupted or short of a process: no process and no temporary stays, and the rerun finishes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KILLS = 5
pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")


def build(out: Path) -> "subprocess.Popen[str]":
    """Two processes that draw 3,000 clocks, in a group of their own as a terminal would have it."""
    sizes = ["--size", "48", "--train", "3000", "--val", "2", "--test", "2", "--heldout-faces", "2"]
    return subprocess.Popen(
        [sys.executable, "-m", "data_prep", "clock", *sizes, "--workers", "2", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def group(leader: int) -> list[int]:
    """Processes of its session that are alive, the resource tracker of multiprocessing left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended
            if int(session) == leader and state != "Z" and b"resource_tracker" not in line:
                found.append(int(entry.name))
    return found


def workers_of(process: "subprocess.Popen[str]", out: Path, pictures: int = 1) -> list[int]:
    """Its two workers, once so many pictures are drawn."""
    images = out.parent / f".{out.name}.partial" / "images" / "train"
    while not (images.is_dir() and len(os.listdir(images)) >= pictures):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return [number for number in group(process.pid) if number != process.pid]


def all_end(leader: int) -> None:
    deadline = time.monotonic() + 20
    while group(leader):
        assert time.monotonic() < deadline, "processes stay"
        time.sleep(0.05)


def tree(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def finish(out: Path) -> dict[str, bytes]:
    process = build(out)
    said, complained = process.communicate(timeout=280)
    assert process.returncode == 0, complained
    assert "kept 3,006" in said
    left = {path.name for path in out.parent.iterdir()} - {out.name, f".{out.name}.lock"}
    assert not left, "temporaries"
    assert not list(out.rglob(".*"))
    return tree(out)


@pytest.mark.timeout(300)
def test_a_killed_worker_is_one_message(tmp_path: Path) -> None:
    process = build(tmp_path / "set")
    os.kill(workers_of(process, tmp_path / "set")[0], signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "error: a process that makes pictures was killed" in said
    assert "Traceback" not in said
    all_end(process.pid)
    assert not (tmp_path / ".set.partial").exists()


@pytest.mark.timeout(300)
def test_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    process = build(tmp_path / "set")
    workers_of(process, tmp_path / "set")
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip().endswith("Interrupted.")
    assert "Traceback" not in said
    all_end(process.pid)
    assert not (tmp_path / ".set.partial").exists()


@pytest.mark.timeout(300)
def test_workers_end_with_their_killed_parent(tmp_path: Path) -> None:
    process = build(tmp_path / "set")
    assert len(workers_of(process, tmp_path / "set")) == 2
    process.kill()
    process.communicate(timeout=60)
    all_end(process.pid)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_five_kills_at_random_moments(tmp_path: Path) -> None:
    began = time.monotonic()
    wanted = finish(tmp_path / "whole" / "set")
    spent = time.monotonic() - began
    chance = random.Random(0)
    for kill in range(KILLS):
        out = tmp_path / f"killed{kill}" / "set"
        process = build(out)
        time.sleep(spent * chance.uniform(0.3, 0.95))
        process.kill()
        process.communicate(timeout=60)
        all_end(process.pid)
        assert finish(out) == wanted
