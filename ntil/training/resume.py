"""What a run that was broken off can go on from: the newest checkpoint whose files are what was written.

A checkpoint counts once its marker is there, which is written last and holds the sum of each file. One that was damaged since
then (a file that is missing, cut or changed) is passed over, with a message, for the one before.
"""

import json
import shutil
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ntil.checksums import damage
from ntil.errors import UNEXPECTED

WHOLE = "WHOLE"  # the marker, with the sums of the checkpoint's files
# One file of each line; the optimiser's is DeepSpeed's or FSDP's where it is divided.
NEEDED = (
    ("trainer_state.json",),
    ("optimizer.pt", "optimizer.bin", "global_step*/*optim_states.pt"),
    ("scheduler.pt",),
    ("rng_state*.pth",),
    ("*model*.safetensors",),
)


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end and is undamaged; None where there is none.

    Says which ones are passed over, and takes their marker away.
    """
    for _, path in sorted(marked_checkpoints(folder), reverse=True):
        reason = damage(path, WHOLE) or _lacking(path)
        if not reason:
            return path
        print(f"{path} is damaged and passed over: {reason}.")
        (path / WHOLE).unlink(missing_ok=True)
    return None


def remove_later(folder: Path, step: int) -> None:
    """Remove what is left of checkpoints after `step`, torn and damaged ones: they are written again, into empty folders."""
    for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if path.name.rsplit("-", 1)[1].isdecimal() and step_of(path) > step:
            (path / WHOLE).unlink(missing_ok=True)  # first: the rest may be interrupted
            shutil.rmtree(path, ignore_errors=True)


def marked_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, folder) of each checkpoint that was written to its end."""
    found = [path.parent for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*/{WHOLE}")]
    return [(step_of(path), path) for path in found if path.name.rsplit("-", 1)[1].isdecimal()]


def step_of(checkpoint: Path) -> int:
    """Optimiser steps that a checkpoint has behind it."""
    return int(checkpoint.name.rsplit("-", 1)[1])


def _lacking(checkpoint: Path) -> str:
    """'' or what a checkpoint without sums (written by an earlier version) evidently lacks."""
    for patterns in NEEDED:
        if not any(path.stat().st_size for pattern in patterns for path in checkpoint.glob(pattern)):
            return f"{patterns[0]} is missing or empty"
    for path in sorted(checkpoint.iterdir()):
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, "pt") as file:
                    file.keys()
            elif path.suffix in (".pt", ".pth"):  # zip files with checksums of their own
                with zipfile.ZipFile(path) as archive:
                    if bad := archive.testzip():
                        return f"{path.name} is damaged at {bad}"
            elif path.suffix == ".json":
                json.loads(path.read_bytes())
        except (SafetensorError, zipfile.BadZipFile, OSError, EOFError, *UNEXPECTED) as error:
            return f"{path.name} cannot be read ({' '.join(str(error).split()) or type(error).__name__})"
    return ""
