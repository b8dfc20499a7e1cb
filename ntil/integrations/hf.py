"""The loss inside a stock Hugging Face Trainer.

full = ntil.WithCrossEntropy(ntil.NTIL(vocab))
Trainer(model, args, train_dataset=…, compute_loss_func=ntil.integrations.hf_loss(full))
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ntil.losses import CrossEntropy, WithCrossEntropy


def hf_loss(full: CrossEntropy | WithCrossEntropy, accumulation_steps: int = 1) -> Callable[..., Tensor]:
    """A function for Trainer's `compute_loss_func`, which leaves the shift and the accumulation to it.

    Labels are those that the model gets, *not* shifted: position t is compared with label t + 1. The loss is a mean
    over the micro-batch; the Trainer does not divide what a `compute_loss_func` returns, so pass the number of
    accumulation steps where it is not 1.
    """
    if accumulation_steps < 1:
        raise ValueError(f"accumulation_steps must be at least 1, not {accumulation_steps}.")

    def compute(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        del num_items_in_batch  # counts tokens; the means here are over samples, digits and numbers
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs.logits
        shifted = torch.nn.functional.pad(labels, (0, 1), value=-100)[..., 1:]
        loss: Tensor = full(logits, shifted.to(logits.device)) / accumulation_steps
        return loss

    return compute
