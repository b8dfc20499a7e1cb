"""A checkout for a newcomer, who follows a page of docs/ to the letter."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from fixtures import REPOSITORY

COPIED = ("conf", "ntil", "tasks", "data_prep", "train.py", "evaluate.py", "predict.py")


def checkout(folder: Path, *more: str) -> Path:
    """The source without tests and results, in the new folder; `more` of it where a page needs that."""
    folder.mkdir()
    for name in (*COPIED, *more):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def blocks(page: str, language: str) -> list[str]:
    """The code of that language on a page of docs/, in order."""
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run(folder: Path, *words: str) -> str:
    """What a command in the checkout prints; the test fails where it does."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
