"""A loss, a gradient or weights that are not finite: found before they change anything, and said with the records at fault."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ntil.data.example import Example
from ntil.errors import UserError
from ntil.io import read_jsonl
from ntil.runs.processes import count, gathered
from ntil.training.callbacks import JsonLinesLog, whole_lines
from ntil.training.resume import marked_checkpoints

SKIPPED = "skipped_records"  # in train.jsonl: the records of a step that was left out
MOST_IN_A_ROW = 10  # steps that are left out before even `skip` gives up
SHOWN = 8  # records named in a message


class DivergenceError(UserError):
    """Training has left the finite numbers; the run is not complete, and its checkpoints are from before."""


class DivergenceWatch(TrainerCallback):
    """Before each optimiser step: are the step's loss and the norm of its gradient finite, in all processes?

    That is one value read from the device in each optimiser step; the norm is the one that the Trainer clips by.
    action: "stop" raises DivergenceError; "skip" leaves the step out (no gradient, so no change of weights or of the optimiser's
    averages; the schedule goes on) and raises after MOST_IN_A_ROW of them. Weights are checked before a checkpoint counts.
    In fp16 gradients that overflow are the loss scaler's business, which leaves such steps out by itself.

    records: of the training, by row.
    """

    def __init__(
        self, records: Sequence[Example], log: JsonLinesLog, checkpoints: Path, action: str, scaled: bool
    ) -> None:
        self.records, self.log, self.checkpoints, self.action = records, log, checkpoints, action
        self.scaled = scaled
        self.norm: Tensor | float = 0.0  # of the step's gradient, before it is clipped
        self.skipped_since_log = 0
        self._in_a_row = 0
        self._seen: list[tuple[Tensor, Tensor]] = []  # of the step: rows and loss of each micro-batch
        self._last: list[tuple[Tensor, Tensor]] = []  # the same of the step before

    def saw(self, rows: Tensor, loss: Tensor) -> None:
        """A micro-batch: its rows of the training set [B], and its loss []."""
        self._seen.append((rows, loss))

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        seen, self._seen = self._seen, []
        self._last = seen
        loss = torch.stack([loss for _, loss in seen]).sum()
        if count() > 1:  # all take the same way
            loss /= count()
            dist.all_reduce(loss)
        norm = torch.as_tensor(0.0 if self.scaled else self.norm, device=loss.device)
        if bool(torch.isfinite(loss + norm)):
            self._in_a_row = 0
            return
        step = state.global_step + 1
        records = self._records()
        if state.is_world_process_zero:
            self.log.write(step, {"loss": float(loss), "grad_norm": float(norm), SKIPPED: records})
        self._in_a_row += 1
        if self.action == "stop" or self._in_a_row >= MOST_IN_A_ROW:
            raise DivergenceError(self._message(step, float(loss), float(norm), records))
        self.skipped_since_log += 1
        if not self.scaled:
            model.zero_grad(set_to_none=True)

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        if bad := next(filter(None, gathered(not_finite(model))), ""):
            records = self._records()
            raise DivergenceError(
                f"training diverged: after step {state.global_step} the weights {bad} are not finite. "
                f"Records of its batch: {_shown(records)}. {self._advice()}"
            )

    on_train_end = on_save

    def _message(self, step: int, loss: float, norm: float, records: Sequence[str]) -> str:
        again = f", {self._in_a_row} steps in a row" if self._in_a_row > 1 else ""
        return (
            f"training diverged at step {step}{again}: the loss is {loss}, the norm of the gradient {norm}. "
            f"Records of the batch: {_shown(records)}. {self._advice()}"
        )

    def _records(self) -> list[str]:
        """Of the step, in all processes."""
        own = [self.records[int(row)].id for rows, _ in self._last for row in rows]
        return [record for part in gathered(own) for record in part]

    def _advice(self) -> str:
        good = max(marked_checkpoints(self.checkpoints), default=None)
        where = f"The last good checkpoint is {good[1]}" if good else "There is no checkpoint from before"
        skip = "" if self.action == "skip" else ", or leave such steps out with trainer.on_divergence=skip"
        return (
            f"{where}; the run is not complete, and the same command would come to the same step. Look at these records, "
            f"lower trainer.learning_rate{skip}."
        )


def _shown(records: Sequence[str]) -> str:
    more = f" and {len(records) - SHOWN} more" if len(records) > SHOWN else ""
    return ", ".join(records[:SHOWN]) + more


def how_it_diverged(log: Path, reached: int) -> str:
    """What a train.jsonl says of an attempt that ended in divergence after step `reached`; '' where none did."""
    rows = (
        [row for row in whole_lines(log) if SKIPPED in row and row["step"] > reached] if log.exists() else []
    )
    if not rows:
        return ""
    return (
        f"an earlier attempt diverged at step {rows[-1]['step']}, and with the same settings, code and data this one will too. "
        f"It goes on after step {reached}."
    )


def not_finite(model: Any) -> str:
    """The name of the first weights (running statistics too) that hold a NaN or an infinity, '' where all are finite.

    Reads one value from the device.
    """
    every = (*model.named_parameters(), *model.named_buffers())
    named = [(name, _own_part(weights)) for name, weights in every if weights.is_floating_point()]
    if not named or bool(torch.stack([weights.isfinite().all() for _, weights in named]).all()):
        return ""
    return next(name for name, weights in named if not bool(weights.isfinite().all()))


def _own_part(weights: Tensor) -> Tensor:
    """This process's shard of weights that are sharded."""
    return weights.to_local() if isinstance(weights, DTensor) else weights


def count_skipped(log: Path) -> int:
    """The steps that a training left out, by its train.jsonl."""
    return sum(SKIPPED in row for row in read_jsonl(log)) if log.exists() else 0
