"""What made a run's numbers: code, packages, machine, data, seed."""

import datetime
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ntil.checkout import ROOT
from ntil.escape import terminal
from ntil.runs import processes

PACKAGES = (
    "ntil",
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "tokenizers",
    "numpy",
    "pillow",
    "hydra-core",
    "omegaconf",
)


# What an attempt at a run is made with, and what may change its digits.
ATTEMPT = (
    "commit",
    "dirty",
    "command",
    "python",
    "packages",
    "host",
    "device",
    "threads",
    "processes",
    "global_batch",
)
LONGEST_SHOWN = 300  # letters of a change
DECISIVE = ("commit", "dirty", "python", "packages", "device", "threads")


def provenance(
    seed: int, data: dict[str, Any], parameters: int, batch: int, earlier: list[dict[str, Any]]
) -> dict[str, Any]:
    """The content of provenance.json: what this attempt is made with, and in "attempts" all of them, oldest first.

    batch: examples of one process in a step. earlier: the attempts that this one resumes.
    """
    now = {**_now(), "processes": processes.count(), "global_batch": processes.count() * batch}
    start = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    trained = (earlier or [now])[0]  # what only scores a trained model may be other processes
    return {
        **now,
        **{key: trained[key] for key in ("processes", "global_batch") if key in trained},
        "seed": seed,
        "data": data,
        "parameters": parameters,
        "starts": [*(str(attempt.get("start")) for attempt in earlier), start],
        "attempts": [*earlier, {"start": start, **now}],
    }


def attempts(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The attempts that a provenance.json tells of; of those before the last, earlier versions kept the start alone."""
    kept = said.get("attempts")
    if isinstance(kept, list) and all(isinstance(attempt, dict) for attempt in kept):
        return kept
    starts = said.get("starts")
    if not isinstance(starts, list) or not starts:
        return []
    last = {"start": starts[-1], **{key: said[key] for key in ATTEMPT if key in said}}
    return [*({"start": start} for start in starts[:-1]), last]


def changed_since(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """ "threads: 1 → 2", … for what may change a run's digits and is another than at the start before."""
    changes = []
    for key in DECISIVE:
        if key not in earlier or earlier[key] == now[key]:
            continue
        if isinstance(earlier[key], dict) and isinstance(now[key], dict):
            changes += [
                terminal(f"{name}: {earlier[key].get(name)} → {now[key].get(name)}"[:LONGEST_SHOWN])
                for name in sorted(earlier[key].keys() | now[key].keys())
                if earlier[key].get(name) != now[key].get(name)
            ]
        else:
            changes.append(terminal(f"{key}: {earlier[key]} → {now[key]}"[:LONGEST_SHOWN]))
    return changes


def _now() -> dict[str, Any]:
    return {
        "commit": git("rev-parse", "HEAD"),
        "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        "command": sys.argv,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "host": {"name": platform.node(), "system": platform.platform(), "machine": platform.machine()},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu ({_processor()})",
        "threads": torch.get_num_threads(),
    }


def git(*arguments: str) -> str | None:
    """Output of a git command on the project; None outside a checkout of git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
