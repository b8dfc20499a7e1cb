"""The one training loop: the Hugging Face Trainer with a loss of ours and validation by generation."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerControl

from ntil.losses import CrossEntropy, WithCrossEntropy

MEANS = ("ce", "number", "emd", "relative", "magnitude")  # loss parts logged as means over the steps


class NumberTrainer(Trainer):
    """Trainer whose loss is `loss.parts(logits, labels)` on the supervised positions.

    Only the last `logits_to_keep` positions of each (left-padded) row go through the vocabulary projection.
    validate: a function of no arguments that returns metrics by name; called in place of a loss on an eval set.
    """

    def __init__(
        self,
        *args: Any,
        loss: CrossEntropy | WithCrossEntropy,
        validate: Callable[[], dict[str, Any]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.loss = loss
        self.validate = validate
        self.loss_is_scaled_for_ga = False  # ours is a mean over the micro-batch; the Trainer divides it
        self._sums: dict[str, Tensor] = {}
        self._batches = 0

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        labels = inputs.pop("labels")
        keep = inputs["logits_to_keep"]
        outputs = model(**inputs)
        # Row t of the logits predicts token t + 1.
        parts = self.loss.parts(outputs.logits[:, :-1], labels[:, labels.shape[1] - keep + 1 :])
        self._remember(parts.terms)
        return (parts.total, outputs) if return_outputs else parts.total

    def _remember(self, terms: Any) -> None:
        self._batches += 1
        for name in MEANS:
            if name in terms:
                value = terms[name].detach()
                self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the means of the loss's parts since the last log."""
        if "loss" in logs and self._batches:
            logs |= {name: float(total) / self._batches for name, total in self._sums.items()}
            self._sums, self._batches = {}, 0
        super().log(logs, start_time)

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
