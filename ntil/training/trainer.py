"""The one training loop: the Hugging Face Trainer with a loss of ours and validation by generation."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainerControl

from ntil.data.dataset import ROW
from ntil.errors import UserError
from ntil.integrations import NumberLossMixin
from ntil.losses import CrossEntropy, LossParts, WithCrossEntropy
from ntil.models.head import passing_hidden, plain_head
from ntil.training.divergence import DivergenceWatch
from ntil.training.states import check_states, going_on_from


class NumberTrainer(NumberLossMixin, Trainer):
    """Trainer whose loss is `number_loss` on the supervised positions.

    Only the last `logits_to_keep` positions of each (left-padded) row go through the vocabulary projection.
    validate: a function of no arguments that returns metrics by name; called in place of a loss on an eval set.
    projection: "hidden" computes the loss from the states before the vocabulary projection; full logits never exist.
    watch: told each micro-batch's rows and loss, and the step's norm of the gradient; one of the callbacks.
    """

    def __init__(
        self,
        *args: Any,
        validate: Callable[[], dict[str, Any]],
        watch: DivergenceWatch | None = None,
        projection: str = "full",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if projection == "hidden":
            check_projection(self.number_loss, self.args)
            self.head = plain_head(self.model)
        self.validate, self.watch = validate, watch
        self._sums: dict[str, Tensor] = {}
        self._batches = 0

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Tensor:
        """The micro-batch's loss; what is not finite counts as 0 in the logged mean, which leaves such steps out."""
        loss: Tensor = super().training_step(model, inputs, *args, **kwargs)
        if self.watch is None:
            return loss
        self.watch.saw(inputs[ROW], loss)
        return torch.where(loss.isfinite(), loss, 0) if self.watch.action == "skip" else loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Of the whole step, before clipping; computed once, for the log and for the watch."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        if self.watch is not None:
            self.watch.norm = norm
        return norm

    def forward_context(self) -> AbstractContextManager[Any]:
        return super().forward_context() if self.head is None else passing_hidden(self.head)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """As the mixin's; the products with the head are made under the autocast of the model's own."""
        if self.head is None:
            return super().compute_loss(*args, **kwargs)
        with torch.autocast(self.args.device.type, torch.bfloat16, enabled=self.args.bf16):
            return super().compute_loss(*args, **kwargs)

    def on_parts(self, parts: LossParts) -> None:
        """Sums up the parts for the next log line."""
        self._batches += 1
        for name, term in parts.terms.items():
            value = term.detach()
            if self.watch is not None and self.watch.action == "skip":
                value = torch.where(value.isfinite(), value, 0)
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the means of the loss's parts since the last log, each under its own name."""
        if "loss" in logs and self._batches:
            logs |= {name: float(total) / self._batches for name, total in self._sums.items()}
            logs = self._without_skipped(logs)
            self._sums, self._batches = {}, 0
        super().log(logs, start_time)

    def _without_skipped(self, logs: dict[str, float]) -> dict[str, float]:
        """The means over the steps that were not left out."""
        if self.watch is None or not self.watch.skipped_since_log:
            return logs
        skipped, self.watch.skipped_since_log = self.watch.skipped_since_log, 0
        steps = self._batches / self.args.gradient_accumulation_steps
        share = steps / (steps - skipped) if steps > skipped else float("nan")
        means = ("loss", *self._sums)
        return {name: value * share if name in means else value for name, value in logs.items()}

    def evaluate(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> dict[str, float]:
        """Validation by generation, in place of a loss over an evaluation set."""
        metrics = {
            f"{metric_key_prefix}_{name}": value
            for name, value in self.validate().items()
            if value is not None
        }
        self.log(dict(metrics))
        self.control: TrainerControl = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with going_on_from(Path(resume_from_checkpoint)):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Only where their settings are this run's, which loading would replace."""
        if checkpoint is not None:
            with going_on_from(Path(checkpoint)):
                check_states(Path(checkpoint), self.optimizer, self.lr_scheduler)
                super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            with going_on_from(Path(checkpoint)):
                super()._load_rng_state(checkpoint)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Weights that the checkpoint lacks, or has too many, are no warning: others would be trained on."""
        tied = set(getattr(self.model, "all_tied_weights_keys", None) or ())
        lost = [name for name in load_result.missing_keys if name not in tied]
        if lost or load_result.unexpected_keys:
            raise ValueError(
                f"its weights are not this model's; it lacks {len(lost)} ({', '.join(lost[:3])}) and has "
                f"{len(load_result.unexpected_keys)} others"
            )


def check_projection(loss: CrossEntropy | WithCrossEntropy, args: Any) -> None:
    """UserError where trainer.projection=hidden cannot work with this loss and these arguments."""
    if isinstance(loss, WithCrossEntropy) and loss.loss.needs_normaliser:
        raise UserError(
            f"trainer.projection=hidden: {type(loss.loss).__name__} needs the logits of the whole vocabulary; use "
            "trainer.projection=full."
        )
    if args.torch_compile:
        raise UserError("trainer.projection=hidden and torch_compile don't go together; use one of them.")
