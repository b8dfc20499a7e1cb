"""Cross-entropy with a number loss on top."""

import torch
from torch import Tensor

from ntil.losses.base import LossParts, NumberLoss
from ntil.losses.cross_entropy import FullLoss, cross_entropy, label_count
from ntil.losses.functional import full_precision
from ntil.losses.fused import FusedCrossEntropy, can_fuse
from ntil.losses.fused_linear import Head, linear_cross_entropy, product_dtype
from ntil.losses.inputs import checked_label_weights, checked_labels
from ntil.numbers import Spans

BALANCES = ("ce_ratio", "none", "digit_share")


class WithCrossEntropy(FullLoss):
    """CE + λ·loss: what one trains with.

        full = WithCrossEntropy(NTIL(vocab))
        full(logits, labels).backward()          # logits [B, T, V] aligned with labels [B, T]; -100 ignored
        full.parts(logits, labels)               # .total .ce .number .emd .relative .magnitude .digits .numbers

    Args:
        loss: a number loss.
        weight: λ, 0.3 (a released-code default, not confirmed as the paper's).
        balance: "ce_ratio" (the same) scales the number loss to the cross-entropy's size, λ·sg[CE / (L + 1e-10)]·L (sg: no gradient);
            "none" adds λ·L; "digit_share" adds λ·s·L with s the share of number tokens among the supervised ones, and where they
            get no cross-entropy, weighs CE on the others by 1 − s.
        ce_on_digits: whether number tokens also get cross-entropy (the released code's way) or the number loss alone (the paper's text).
        fused: compute both in one pass with a single gradient buffer, where the logits are float32 or bfloat16; about half the time and
            memory of F.cross_entropy alone. One backward only.
        overwrite_logits: let that buffer be the logits themselves, which nothing may need afterwards.

    A call takes `label_weights` [B, T], which say how much each label counts, for both losses (see NumberLoss), and `reduction`, of
    which "sum" and "none" need balance="none": the others compare two means.

    Returns:
        [] the loss, [B, T] with reduction="none"; `parts` gives it with everything that it is made of.

    Raises:
        ValueError: where a setting is none of those above.

    Source: NTIL, ACL 2025 (arXiv 2505.13077); the balance is the released code's.
    """

    def __init__(
        self,
        loss: NumberLoss,
        weight: float = 0.3,
        balance: str = "ce_ratio",
        ce_on_digits: bool = True,
        fused: bool = True,
        overwrite_logits: bool = False,
    ) -> None:
        super().__init__()
        if balance not in BALANCES:
            raise ValueError(f"balance must be one of {', '.join(BALANCES)}, not {balance!r}.")
        if not weight >= 0:
            raise ValueError(f"weight must not be negative, got {weight}.")
        self.loss, self.weight, self.balance, self.ce_on_digits = loss, weight, balance, ce_on_digits
        self.fused, self.overwrite_logits = fused, overwrite_logits

    def extra_repr(self) -> str:
        return f"weight={self.weight}, balance={self.balance!r}, ce_on_digits={self.ce_on_digits}, fused={self.fused}"

    def parts(
        self,
        logits: Tensor,
        labels: Tensor,
        *,
        label_weights: Tensor | None = None,
        reduction: str = "mean",
        number_scale: Tensor | float = 1.0,
    ) -> LossParts:
        """The combined loss with everything it is made of; on the fused path only `total` carries the graph.

        number_scale: a further factor on λ, for loops that weigh micro-batches by their share of a step.
        """
        labels = checked_labels(logits, labels)
        label_weights = checked_label_weights(label_weights, labels, logits)
        if reduction != "mean" and self.balance != "none":
            raise ValueError(
                f"reduction={reduction!r} needs balance='none'; {self.balance!r} balances the means of two losses."
            )
        with full_precision(logits.device):
            if reduction == "mean" and self.fused and can_fuse(logits) and not self.loss.needs_normaliser:
                return self._fused_parts(logits, labels, number_scale, label_weights)
            return self._plain_parts(logits, labels, number_scale, label_weights, reduction)

    def _plain_parts(
        self,
        logits: Tensor,
        labels: Tensor,
        number_scale: Tensor | float,
        label_weights: Tensor | None,
        reduction: str,
    ) -> LossParts:
        columns, normaliser = self.loss.read(logits, labels)
        spans = self.loss.spans(labels)
        number = self.loss.parts(columns, spans, normaliser, label_weights=label_weights, reduction=reduction)
        is_number = spans.is_number
        ce = cross_entropy(logits, self._ce_labels(labels, is_number), label_weights, reduction)
        ce_weight, weight = self._weights(labels, is_number, number_scale, label_weights)
        if self.balance == "ce_ratio":
            weight = weight * ce.detach() / (number.total.detach() + 1e-10)
        return _joined(ce_weight * ce + weight * number.total, ce, number)

    def _parts_of_head(
        self,
        hidden: Tensor,
        head: Head,
        labels: Tensor,
        label_weights: Tensor | None,
        number_scale: Tensor | float = 1.0,
    ) -> LossParts:
        """As `_fused_parts`, with the number tokens' columns computed from their rows of the head."""
        if self.loss.needs_normaliser:
            raise ValueError(
                f"{type(self.loss).__name__} needs the logits of the whole vocabulary; call it with them."
            )
        self.loss.check_width(len(head.weight))
        spans = self.loss.spans(labels)
        is_number, at = spans.is_number, self.loss.columns
        dtype, few = product_dtype(hidden, head.weight), head.at(at)
        with full_precision(hidden.device):
            picked = few.to(dtype).logits(hidden.detach().to(dtype))
            number, gradient = self._number_with_gradient(
                self.loss.split(picked), spans, torch.is_grad_enabled(), label_weights
            )
            if gradient is not None:
                gradient = gradient * few.slope(picked)
        total, ce = linear_cross_entropy(
            hidden,
            head,
            self._ce_labels(labels, is_number),
            number=number.total,
            columns=at,
            column_gradient=gradient,
            weights=self._weights(labels, is_number, number_scale, label_weights),
            by_ratio=self.balance == "ce_ratio",
            label_weights=label_weights,
        )
        return _joined(total, ce, number)

    def _ce_labels(self, labels: Tensor, is_number: Tensor) -> Tensor:
        return labels if self.ce_on_digits else labels.masked_fill(is_number, -100)

    def _weights(
        self,
        labels: Tensor,
        is_number: Tensor,
        number_scale: Tensor | float = 1.0,
        label_weights: Tensor | None = None,
    ) -> tuple[Tensor | float, Tensor | float]:
        """Of the cross-entropy and of the number loss, before the ratio."""
        weight = self.weight * number_scale
        if self.balance != "digit_share":
            return 1.0, weight
        numbers = is_number if label_weights is None else is_number * label_weights
        share = numbers.sum() / label_count(labels, label_weights)
        return (1.0 if self.ce_on_digits else 1.0 - share), weight * share

    def _fused_parts(
        self, logits: Tensor, labels: Tensor, number_scale: Tensor | float, label_weights: Tensor | None
    ) -> LossParts:
        """The number loss and its gradient from a copy of the number tokens' columns; the rest in one pass."""
        columns = self.loss.number_logits(logits.detach(), labels)
        wanted = torch.is_grad_enabled() and logits.requires_grad
        spans = self.loss.spans(labels)
        is_number = spans.is_number
        number, gradient = self._number_with_gradient(columns, spans, wanted, label_weights)
        total, ce = FusedCrossEntropy.apply(
            logits,
            self._ce_labels(labels, is_number),
            self.loss.columns,
            gradient,
            number.total,
            self._weights(labels, is_number, number_scale, label_weights),
            self.balance == "ce_ratio",
            self.overwrite_logits,
            label_weights,
        )
        return _joined(total, ce, number)

    def _number_with_gradient(
        self, columns: list[Tensor], spans: Spans, wanted: bool, label_weights: Tensor | None
    ) -> tuple[LossParts, Tensor | None]:
        """(the number loss without graph, its gradient by the columns [B, T, K] where `wanted`)."""
        columns = [column.detach().requires_grad_(wanted) for column in columns]
        with torch.set_grad_enabled(wanted):
            number = self.loss.parts(columns, spans, label_weights=label_weights)
        gradient = None
        if wanted:  # a loss may leave a group of tokens alone, such as coordinate bins that no label uses
            parts = torch.autograd.grad(number.total, columns, materialize_grads=True)
            gradient = torch.cat(parts, -1)
        terms = {name: term.detach() for name, term in number.terms.items()}
        return LossParts(number.total.detach(), terms, number.digits, number.numbers), gradient


def _joined(total: Tensor, ce: Tensor, number: LossParts) -> LossParts:
    return LossParts(total, {"ce": ce, "number": number.total, **number.terms}, number.digits, number.numbers)
