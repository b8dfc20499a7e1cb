"""The log file of a run, its stopwatch, and the marker that tells a whole checkpoint from a torn one."""

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ntil.checksums import seal
from ntil.io import read_json, read_jsonl, write_json, write_jsonl, write_text, writing
from ntil.nonfinite import finite_or_named
from ntil.runs.processes import wait_for_all
from ntil.training.resume import WHOLE

TIMING = "timing.json"  # of the run, and in each checkpoint as it was then
# What the Trainer adds to its last log line; timings live in metrics.json.
_DROPPED = ("train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss")


class JsonLinesLog(TrainerCallback):
    """Appends each log to train.jsonl: {"step", "loss", …}, validation as {"step", "val/<metric>", …}."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, step: int) -> None:
        """Forget what was logged after the checkpoint that a resumed run starts from."""
        if self.path.exists():
            write_jsonl(self.path, [row for row in whole_lines(self.path) if row["step"] <= step])

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
            self.write(state.global_step, row)

    def write(self, step: int, row: dict[str, Any]) -> None:
        """One line; UserError where the disk is full."""
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **finite_or_named(row)}) + "\n")


class CheckpointMarker(TrainerCallback):
    """Marks a checkpoint as whole once all its files are on the disk, those of every process, with their sums."""

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        wait_for_all()
        if state.is_world_process_zero:
            for code in _checkpoint(args, state).glob("*.py"):  # DeepSpeed's converters
                code.unlink()
            seal(_checkpoint(args, state), WHOLE)


class Stopwatch(TrainerCallback):
    """Keeps timing.json: the seconds trained up to the last checkpoint (or the end), over all attempts.

    Each checkpoint has its own, so that no step counts twice where a run goes back to an earlier one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._earlier = self._seconds_until(args, state) if state.global_step else 0.0
        self._start = time.perf_counter()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            write_json(_checkpoint(args, state) / TIMING, self._now(state))
            write_json(self.path, self._now(state))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            write_json(self.path, self._now(state))

    def _now(self, state: TrainerState) -> dict[str, Any]:
        seconds = self._earlier + time.perf_counter() - self._start
        return {"train_seconds": seconds, "steps": state.global_step}

    def _seconds_until(self, args: TrainingArguments, state: TrainerState) -> float:
        """As the checkpoint says; of one from an earlier version its share of what the run says."""
        for path in (_checkpoint(args, state) / TIMING, self.path):
            if path.exists():
                said = read_json(path)
                return float(said["train_seconds"]) * min(1.0, state.global_step / max(1, said["steps"]))
        return 0.0


def _checkpoint(args: TrainingArguments, state: TrainerState) -> Path:
    assert args.output_dir is not None
    return Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a log whose last line may be torn."""
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        write_text(path, text[: text.rfind("\n") + 1])
    return list(read_jsonl(path))
