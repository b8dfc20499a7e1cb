"""The loss inside a Hugging Face Trainer, stock or subclassed (TRL).

full = ntil.WithCrossEntropy(ntil.NTIL(vocab))
Trainer(model, args, train_dataset=…, compute_loss_func=ntil.integrations.hf_loss(full))

class NumberTrainer(ntil.integrations.NumberLossMixin, Trainer): ...
NumberTrainer(model, args, train_dataset=…, number_loss=full)
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ntil.errors import UserError
from ntil.integrations.alignment import aligned, check_decoder_inputs, decoder_inputs, shifts_labels
from ntil.losses import CrossEntropy, LossParts, WithCrossEntropy

FullLoss = CrossEntropy | WithCrossEntropy
LABEL_WEIGHTS = "label_weights"  # in a batch, beside "labels"


def hf_loss(
    full: FullLoss, accumulation_steps: int | None = None, shift: bool | None = None
) -> Callable[..., Tensor]:
    """A function for Trainer's `compute_loss_func`: (outputs, labels, num_items_in_batch=None) → loss.

    Labels are those that the model gets: position t is compared with label t + 1, or with label t where the outputs are an
    encoder-decoder's or a masked language model's. `shift` says it where that is not to be read from them. The Trainer does
    not divide what this function returns: a micro-batch counts by its share of the step's supervised tokens,
    `num_items_in_batch`, as the Trainer's own cross-entropy does. So cross-entropy is the mean over the step's tokens
    however they are split, and the number loss too is that of the one large batch where the samples are equally long (with
    balance="none"; "ce_ratio" takes its ratio in each micro-batch).

    A loop of one's own may give label_weights=… [B, T], one for each of the labels; the stock Trainer passes none, and
    `NumberLossMixin` takes them from the batch.

    Args:
        full: the loss, such as `WithCrossEntropy(NTIL(vocab))`.
        accumulation_steps: micro-batches in a step, over all processes. Says that micro-batches have equal numbers of
            samples, which makes the number loss with balance="none" a mean over samples of any length, and divides the
            whole where a loop passes no `num_items_in_batch`. `NumberLossMixin` needs no such number.
        shift: whether position t is compared with label t + 1; None reads it from the outputs.

    Returns:
        The function. It takes outputs with logits [B, T, V] and labels [B, T], and returns a scalar with graph.

    Raises:
        ValueError: accumulation_steps below 1.
        UserError: when called in a Trainer whose settings would be passed over in silence (`label_smoothing_factor`, TRL's
            loss in chunks), or with an encoder-decoder that got no decoder inputs, which some make of the source then.
    """
    if accumulation_steps is not None and accumulation_steps < 1:
        raise ValueError(f"accumulation_steps must be at least 1, not {accumulation_steps}.")

    def compute(
        outputs: Any,
        labels: Tensor | None,
        num_items_in_batch: Any = None,
        *,
        label_weights: Tensor | None = None,
    ) -> Tensor:
        if not torch.compiler.is_compiling():
            # The Trainer tells a loss function nothing of its settings and inputs, so they are looked up where it is called.
            caller = sys._getframe(1).f_locals
            _check_settings(getattr(caller.get("self"), "args", None))
            check_decoder_inputs(outputs, caller.get("inputs"))
        logits, labels, label_weights = aligned(outputs, labels, shift, label_weights)
        share = 1 / accumulation_steps if accumulation_steps else None
        if not logits.requires_grad:
            share = None  # an evaluated batch stands for itself
        token_share = _share((labels >= 0).sum(), num_items_in_batch)
        return weighted(full, logits, labels, token_share, share, label_weights).total

    return compute


class NumberLossMixin:
    """For a subclass of Trainer, before it among the bases; `number_loss` is what it trains with.

        class NumberTrainer(NumberLossMixin, Trainer): ...          # or SFTTrainer, Seq2SeqTrainer
        NumberTrainer(model, args, train_dataset=…, number_loss=full)

    As `hf_loss`, and it counts the samples of a step: with balance="none", accumulated micro-batches have the gradient
    of the one large batch for samples of any length, over processes too. It replaces `compute_loss`, with one forward
    pass that computes no other loss. A batch may hold `label_weights` [B, T] beside its labels; cross-entropy is then the
    weighted mean over the step's labels.

    An encoder-decoder whose batch has no `decoder_input_ids` makes them from the labels.

    Args:
        number_loss: the loss, such as `WithCrossEntropy(NTIL(vocab))`.
        shift: as for `hf_loss`; left out, labels are shifted unless the model is an encoder-decoder or a masked language
            model.

    Raises:
        ValueError: under DataParallel.
        UserError: a setting of the Trainer asks for another loss.
    """

    args: Any
    accelerator: Any
    model: Any
    compute_loss_func: Any
    head: nn.Linear | None = (
        None  # whose inputs the model returns in place of logits, inside `forward_context`
    )
    _signature_columns: list[str]

    def __init__(self, *args: Any, number_loss: FullLoss, shift: bool | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.args.n_gpu > 1:
            raise ValueError("DataParallel is not supported: launch one process for each GPU (torchrun).")
        _check_settings(self.args, passed_over=("dft",))
        self.number_loss = number_loss
        self.compute_loss_func = hf_loss(number_loss)  # so that the Trainer counts tokens and does not divide
        self._shift = shift
        self._samples: Tensor | None = None  # in this step
        self._weights: Tensor | None = None  # sum of this step's label weights, where a batch has them

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The micro-batches of a step; counts their samples and adds up their label weights."""
        batches, tokens = super().get_batch_samples(*args, **kwargs)  # type: ignore[misc]
        labelled = [batch for batch in batches if batch.get("labels") is not None]
        self._samples = self._over_processes(sum(len(batch["labels"]) for batch in labelled))
        self._weights = None
        if any(LABEL_WEIGHTS in batch for batch in labelled):
            self._weights = self._over_processes(sum(self._weight_of(batch) for batch in labelled))
        return batches, tokens

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        labels, label_weights = inputs.get("labels"), inputs.get(LABEL_WEIGHTS)
        fed = {name: x for name, x in inputs.items() if name not in ("labels", LABEL_WEIGHTS)}
        fed = {name: x for name, x in fed.items() if not name.startswith("_")}  # TRL's notes to itself
        with self.forward_context():
            outputs = model(**fed, **decoder_inputs(self._bare(), fed, labels))
        logits, labels, label_weights = aligned(outputs, labels, self._shifts(fed), label_weights)
        training = logits.requires_grad
        share = len(labels) / self._samples if training and self._samples is not None else None
        if training and self._weights is not None:
            token_share = _share(_weight(labels, label_weights), self._weights)
        else:
            token_share = _share((labels >= 0).sum(), num_items_in_batch)
        parts = weighted(self.number_loss, logits, labels, token_share, share, label_weights, self.head)
        if training:
            self.on_parts(parts)
        loss = parts.total
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            # DDP takes the mean over processes, and the counts are sums over them.
            loss = loss * (self.accelerator.num_processes // self._copies())
        return (loss, outputs) if return_outputs else loss

    def forward_context(self) -> AbstractContextManager[Any]:
        """Around each forward pass; a subclass with a `head` makes the model return that one's inputs [B, K, H] here."""
        return nullcontext()

    def on_parts(self, parts: LossParts) -> None:
        """Called with each training batch's parts; a subclass may log them.

        The terms are the micro-batch's share of the step's: over the micro-batches of all processes they add up to the step's.
        """

    def _set_signature_columns_if_needed(self) -> None:
        """Keeps the label weights, which no model's forward names, in the data set's rows."""
        super()._set_signature_columns_if_needed()  # type: ignore[misc]
        if LABEL_WEIGHTS not in self._signature_columns:
            self._signature_columns = [*self._signature_columns, LABEL_WEIGHTS]

    def _bare(self) -> Any:
        """The model without adapters around it."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    def _shifts(self, inputs: dict[str, Any]) -> bool | None:
        return self._shift if self._shift is not None else shifts_labels(self._bare(), inputs)

    def _weight_of(self, batch: dict[str, Any]) -> float:
        """Sum of a micro-batch's label weights, which are 1 where it has none."""
        # A shifted label has nothing that predicts the first.
        first = 0 if self._shifts(batch) is False else 1
        weights = batch.get(LABEL_WEIGHTS)
        return float(_weight(batch["labels"][:, first:], None if weights is None else weights[:, first:]))

    def _over_processes(self, count: float) -> Tensor:
        total = torch.tensor(float(count), device=self.args.device)
        if self.args.average_tokens_across_devices and self.args.world_size > 1:
            total = self.accelerator.gather(total).sum() / self._copies()
        return total

    def _copies(self) -> int:
        """Processes that see the same batch (tensor parallelism)."""
        return int(self.get_tp_size()) if hasattr(self, "get_tp_size") else 1


def weighted(
    full: FullLoss,
    logits: Tensor,
    labels: Tensor,
    token_share: Tensor | None,
    sample_share: Tensor | float | None,
    label_weights: Tensor | None = None,
    head: nn.Linear | None = None,
) -> LossParts:
    """The loss of a micro-batch and its parts, each of them as the micro-batch's part in that of its step.

    token_share: the micro-batch's share of the step's supervised tokens; None where nobody counted, and the micro-batch
    counts by `sample_share`.
    sample_share: the micro-batch's share of the step's samples, by which the number loss counts where it is added as
    it is (balance="none"); None for the share of tokens.
    head: the vocabulary projection, where `logits` are the hidden states [B, K, H] before it.
    """
    options: dict[str, Any] = {} if label_weights is None else {"label_weights": label_weights}
    if token_share is None:
        share = 1.0 if sample_share is None else sample_share
        return _scaled(_parts(full, logits, labels, options, head), share, share)
    number_share: Tensor | float = token_share
    if sample_share is not None and isinstance(full, WithCrossEntropy) and full.balance == "none":
        options["number_scale"] = sample_share / token_share.clamp(min=1e-12)
        number_share = sample_share
    return _scaled(_parts(full, logits, labels, options, head), token_share, number_share)


def _parts(
    full: FullLoss, logits: Tensor, labels: Tensor, options: dict[str, Any], head: nn.Linear | None
) -> LossParts:
    """Of a loss of ours; a compiled one is called as it is and has a total only."""
    if head is not None:
        return full.parts_from_hidden(logits, head.weight, labels, head_bias=head.bias, **options)
    if isinstance(full, CrossEntropy | WithCrossEntropy):
        return full.parts(logits, labels, **options)
    return LossParts(full(logits, labels, **options))


def _scaled(parts: LossParts, share: Tensor | float, number_share: Tensor | float) -> LossParts:
    terms = {name: term * (share if name == "ce" else number_share) for name, term in parts.terms.items()}
    return replace(parts, total=parts.total * share, terms=terms)


def _weight(labels: Tensor, label_weights: Tensor | None) -> Tensor:
    """[] sum of the weights of the labels that are not masked."""
    valid = labels >= 0
    return valid.sum() if label_weights is None else torch.where(valid, label_weights, 0).sum()


def _share(part: Tensor, whole: Any) -> Tensor | None:
    """part / whole; None where the whole is not known."""
    if whole is None:
        return None
    total = torch.as_tensor(whole, device=part.device).sum()  # DataParallel: one share for each GPU
    return part / torch.where(total > 0, total, 1)


def _check_settings(args: Any, passed_over: tuple[str, ...] = ("chunked_nll",)) -> None:
    """UserError where a Trainer's settings ask for another loss than the one that it is given."""
    smoothing = getattr(args, "label_smoothing_factor", 0)
    if smoothing:
        raise UserError(
            f"label_smoothing_factor={smoothing} would have no effect: this loss smooths no labels. Set it to 0; "
            "ntil.losses.GaussianCE smooths numbers over their neighbours."
        )
    if (kind := getattr(args, "loss_type", None)) in passed_over:
        raise UserError(
            f"loss_type={kind!r} is TRL's own loss, beside which this one cannot be computed. Set "
            "SFTConfig(loss_type='nll')"
            + (
                ", or train with NumberLossMixin, which needs no such setting."
                if kind == "chunked_nll"
                else "."
            )
        )
