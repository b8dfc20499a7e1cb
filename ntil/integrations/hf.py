"""The loss inside a Hugging Face Trainer, stock or subclassed (TRL).

full = ntil.WithCrossEntropy(ntil.NTIL(vocab))
Trainer(model, args, train_dataset=…, compute_loss_func=ntil.integrations.hf_loss(full))

class NumberTrainer(ntil.integrations.NumberLossMixin, Trainer): ...
NumberTrainer(model, args, train_dataset=…, number_loss=full)
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ntil.losses import CrossEntropy, LossParts, WithCrossEntropy

FullLoss = CrossEntropy | WithCrossEntropy


def hf_loss(
    full: FullLoss, accumulation_steps: int | None = None, shift: bool = True
) -> Callable[..., Tensor]:
    """A function for Trainer's `compute_loss_func`: (outputs, labels, num_items_in_batch=None) → loss.

    Labels are those that the model gets: position t is compared with label t + 1. shift=False compares it with label t
    (encoder-decoder models). The Trainer does not divide what this function returns: a micro-batch counts by its share
    of the step's supervised tokens, `num_items_in_batch`, as the Trainer's own cross-entropy does. So cross-entropy is
    the mean over the step's tokens however they are split, and the number loss too is that of the one large batch
    where the samples are equally long (with balance="none"; "ce_ratio" takes its ratio in each micro-batch).

    accumulation_steps: micro-batches in a step, over all processes. Says that micro-batches have equal numbers of
    samples, which makes the number loss with balance="none" a mean over samples of any length, and divides the whole
    where a loop passes no `num_items_in_batch`. `NumberLossMixin` needs no such number.
    """
    if accumulation_steps is not None and accumulation_steps < 1:
        raise ValueError(f"accumulation_steps must be at least 1, not {accumulation_steps}.")

    def compute(outputs: Any, labels: Tensor | None, num_items_in_batch: Any = None) -> Tensor:
        logits, labels = aligned(outputs, labels, shift)
        share = 1 / accumulation_steps if accumulation_steps else None
        if not logits.requires_grad:
            share = None  # an evaluated batch stands for itself
        return weighted(full, logits, labels, num_items_in_batch, share).total

    return compute


class NumberLossMixin:
    """For a subclass of Trainer, before it among the bases; `number_loss` is what it trains with.

        class NumberTrainer(NumberLossMixin, Trainer): ...          # or SFTTrainer
        NumberTrainer(model, args, train_dataset=…, number_loss=full)

    As `hf_loss`, and it counts the samples of a step: with balance="none", accumulated micro-batches have the gradient
    of the one large batch for samples of any length, over processes too. It replaces `compute_loss`, with one forward
    pass that computes no other loss.
    """

    args: Any
    accelerator: Any
    compute_loss_func: Any

    def __init__(self, *args: Any, number_loss: FullLoss, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.args.n_gpu > 1:
            raise ValueError("DataParallel is not supported: launch one process for each GPU (torchrun).")
        self.number_loss = number_loss
        self.compute_loss_func = hf_loss(number_loss)  # so that the Trainer counts tokens and does not divide
        self._samples: Tensor | None = None  # in this step

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The micro-batches of a step; counts their samples."""
        batches, tokens = super().get_batch_samples(*args, **kwargs)  # type: ignore[misc]
        rows = sum(len(batch["labels"]) for batch in batches)
        self._samples = torch.tensor(float(rows), device=self.args.device)
        if self.args.average_tokens_across_devices and self.args.world_size > 1:
            self._samples = self.accelerator.gather(self._samples).sum() / self._copies()
        return batches, tokens

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"})
        logits, labels = aligned(outputs, inputs.get("labels"))
        share = len(labels) / self._samples if logits.requires_grad and self._samples is not None else None
        parts = weighted(self.number_loss, logits, labels, num_items_in_batch, share)
        if logits.requires_grad:
            self.on_parts(parts)
        loss = parts.total
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            # DDP takes the mean over processes, and the counts are sums over them.
            loss = loss * (self.accelerator.num_processes // self._copies())
        return (loss, outputs) if return_outputs else loss

    def on_parts(self, parts: LossParts) -> None:
        """Called with each training batch's parts; a subclass may log them."""

    def _copies(self) -> int:
        """Processes that see the same batch (tensor parallelism)."""
        return int(self.get_tp_size()) if hasattr(self, "get_tp_size") else 1


def aligned(outputs: Any, labels: Tensor | None, shift: bool = True) -> tuple[Tensor, Tensor]:
    """(logits [B, K, V], labels [B, K]) from a model's outputs and labels [B, T]; K < T keeps the last (`logits_to_keep`)."""
    if labels is None:
        raise ValueError("the batch has no labels: the loss needs them, -100 where nothing is supervised.")
    logits: Tensor = outputs["logits"] if isinstance(outputs, dict) else outputs.logits
    if shift:
        labels = F.pad(labels, (0, 1), value=-100)[..., 1:]
    return logits, labels[:, -logits.shape[1] :].to(logits.device)


def weighted(
    full: FullLoss, logits: Tensor, labels: Tensor, tokens: Any, sample_share: Tensor | float | None
) -> LossParts:
    """The loss of a micro-batch and its parts; `total` is the micro-batch's part in the loss of its step.

    tokens: supervised tokens in the step; None where nobody counted, and the micro-batch counts by `sample_share`.
    sample_share: the micro-batch's share of the step's samples, by which the number loss counts where it is added as
    it is (balance="none"); None for the share of tokens.
    """
    if tokens is None:
        return _scaled(_parts(full, logits, labels), 1.0 if sample_share is None else sample_share)
    whole = torch.as_tensor(tokens, device=logits.device).sum()  # DataParallel: one share for each GPU
    token_share = (labels >= 0).sum() / whole.clamp(min=1)
    if sample_share is not None and isinstance(full, WithCrossEntropy) and full.balance == "none":
        number_scale = sample_share / token_share.clamp(min=1e-12)
        return _scaled(full.parts(logits, labels, number_scale), token_share)
    return _scaled(_parts(full, logits, labels), token_share)


def _parts(full: FullLoss, logits: Tensor, labels: Tensor) -> LossParts:
    """Of a loss of ours; a compiled one is called as it is and has a total only."""
    if isinstance(full, CrossEntropy | WithCrossEntropy):
        return full.parts(logits, labels)
    return LossParts(full(logits, labels))


def _scaled(parts: LossParts, share: Tensor | float) -> LossParts:
    return replace(parts, total=parts.total * share)
