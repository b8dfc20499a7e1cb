"""The one training loop: the Hugging Face Trainer with a loss of ours and validation by generation."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainerControl

from ntil.integrations import NumberLossMixin
from ntil.losses import LossParts


class NumberTrainer(NumberLossMixin, Trainer):
    """Trainer whose loss is `number_loss` on the supervised positions.

    Only the last `logits_to_keep` positions of each (left-padded) row go through the vocabulary projection.
    validate: a function of no arguments that returns metrics by name; called in place of a loss on an eval set.
    """

    def __init__(self, *args: Any, validate: Callable[[], dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.validate = validate
        self._sums: dict[str, Tensor] = {}
        self._batches = 0

    def on_parts(self, parts: LossParts) -> None:
        """Sums up the parts for the next log line."""
        self._batches += 1
        for name, term in parts.terms.items():
            value = term.detach()
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the means of the loss's parts since the last log, each under its own name."""
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
