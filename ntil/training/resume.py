"""What a run that was broken off can go on from: the newest checkpoint whose files are what was written.

A checkpoint counts once its marker is there, which is written last and holds the sum of each file. One that was damaged since
then (a file that is missing, cut or changed) is passed over, with a message, for the one before.
"""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ntil.checksums import damage

WHOLE = "WHOLE"  # the marker, with the sums of the checkpoint's files
NEEDED = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state*.pth", "*model*.safetensors")


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end and is undamaged; None where there is none.

    Says which ones are passed over, and takes their marker away, so that training may write them again.
    """
    for _, path in sorted(marked_checkpoints(folder), reverse=True):
        reason = damage(path, WHOLE) or _lacking(path)
        if not reason:
            return path
        print(f"{path} is damaged and passed over: {reason}.")
        (path / WHOLE).unlink()
    return None


def marked_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, folder) of each checkpoint that was written to its end."""
    found = [path.parent for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*/{WHOLE}")]
    return [(step_of(path), path) for path in found if path.name.rsplit("-", 1)[1].isdecimal()]


def step_of(checkpoint: Path) -> int:
    """Optimiser steps that a checkpoint has behind it."""
    return int(checkpoint.name.rsplit("-", 1)[1])


def _lacking(checkpoint: Path) -> str:
    """'' or what a checkpoint without sums (written by an earlier version) evidently lacks."""
    for pattern in NEEDED:
        if not any(path.stat().st_size for path in checkpoint.glob(pattern)):
            return f"{pattern} is missing or empty"
    for path in checkpoint.glob("*.safetensors"):
        try:
            with safe_open(path, "pt") as file:
                file.keys()
        except (SafetensorError, OSError) as error:
            return f"{path.name} cannot be read ({error})"
    return ""
