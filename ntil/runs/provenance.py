"""What made a run's numbers: code, packages, machine, data, seed."""

import datetime
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ntil.checkout import ROOT

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


def provenance(seed: int, data: dict[str, Any], parameters: int, earlier_starts: list[str]) -> dict[str, Any]:
    """The content of provenance.json; `earlier_starts` are the start times of the attempts that this one resumes."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "command": sys.argv,
        "seed": seed,
        "starts": [*earlier_starts, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")],
        "data": data,
        "parameters": parameters,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "host": {"name": platform.node(), "system": platform.platform(), "machine": platform.machine()},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu ({_processor()})",
        "threads": torch.get_num_threads(),
    }


def _git(*arguments: str) -> str | None:
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
