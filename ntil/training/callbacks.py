"""The log file of a run, and markers that tell a whole checkpoint from a torn one."""

import json
import math
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ntil.io import read_json, read_jsonl, write_json, write_jsonl, write_text

WHOLE = "WHOLE"  # written into a checkpoint's folder after everything else
# What the Trainer adds to its last log line; timings live in metrics.json.
_DROPPED = ("train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss")


class JsonLinesLog(TrainerCallback):
    """Appends each log to train.jsonl: {"step", "loss", …}, validation as {"step", "val/<metric>", …}."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, step: int) -> None:
        """Forget what was logged after the checkpoint that a resumed run starts from."""
        if self.path.exists():
            write_jsonl(self.path, [row for row in _whole_lines(self.path) if row["step"] <= step])

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        row = {k: v for k, v in (logs or {}).items() if k not in _DROPPED and not k.startswith("epoch")}
        row = {f"val/{k[5:]}" if k.startswith("eval_") else k: v for k, v in row.items()}
        if row and state.is_world_process_zero:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, **_finite(row)}) + "\n")


class CheckpointMarker(TrainerCallback):
    """Marks a checkpoint as whole once all its files are written."""

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            assert args.output_dir is not None
            write_text(Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}" / WHOLE, "")


class Stopwatch(TrainerCallback):
    """Keeps timing.json: the seconds trained up to the last checkpoint (or the end), over all attempts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        resumed = state.global_step > 0 and self.path.exists()
        self._earlier = read_json(self.path)["train_seconds"] if resumed else 0.0
        self._start = time.perf_counter()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            seconds = self._earlier + time.perf_counter() - self._start
            write_json(self.path, {"train_seconds": seconds, "steps": state.global_step})

    on_train_end = on_save


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    whole = [path.parent for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*/{WHOLE}")]
    return max(whole, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: such values become null, and "not_finite" names them."""
    bad = [name for name, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
    return {**row, **dict.fromkeys(bad), "not_finite": bad} if bad else row


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a log whose last line may be torn."""
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        write_text(path, text[: text.rfind("\n") + 1])
    return list(read_jsonl(path))
