"""Cross-entropy, alone or with a number loss on top."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ntil.losses.base import LossParts, NumberLoss, check_weights
from ntil.losses.functional import full_precision
from ntil.losses.fused import DTYPES, FusedCrossEntropy, can_fuse
from ntil.losses.fused_linear import FusedLinearCrossEntropy
from ntil.numbers import Spans

BALANCES = ("ce_ratio", "none", "digit_share")


def cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Cross-entropy of the labels that are not negative; a connected 0 where there are none.

    logits [B, T, V], labels [B, T], weights [B, T] → [] in float32 (float64 logits stay so); [B, T] with
    reduction="none". The mean is Σ w·x / Σ w.
    """
    rows = logits.flatten(0, -2)
    rows = rows if rows.dtype == torch.float64 else rows.float()
    targets = labels.flatten()
    valid = targets >= 0
    targets = torch.where(valid, targets, -100)
    if weights is None and reduction != "none":
        summed = F.cross_entropy(rows, targets, ignore_index=-100, reduction="sum")
        return summed / valid.sum().clamp(min=1) if reduction == "mean" else summed
    each = F.cross_entropy(rows, targets, ignore_index=-100, reduction="none").view_as(labels)
    if weights is not None:
        each = each * weights.to(each.dtype)
    if reduction == "none":
        return each
    return each.sum() / _count(valid, weights) if reduction == "mean" else each.sum()


def _count(valid: Tensor, weights: Tensor | None) -> Tensor:
    """What a mean over the `valid` labels divides by; 1 where there is nothing."""
    count = valid.sum() if weights is None else (valid.view_as(weights) * weights).sum()
    return torch.where(count > 0, count, torch.ones_like(count))


class CrossEntropy(nn.Module):
    """Plain cross-entropy with the interface of `WithCrossEntropy`."""

    def parts(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, reduction: str = "mean"
    ) -> LossParts:
        ce = cross_entropy(logits, labels, weights, reduction)
        return LossParts(ce, {"ce": ce})

    def forward(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, reduction: str = "mean"
    ) -> Tensor:
        return self.parts(logits, labels, weights, reduction).total


class WithCrossEntropy(nn.Module):
    """CE + λ·loss: what one trains with.

    weight: λ. balance: "ce_ratio" scales the number loss to the cross-entropy's size, λ·sg[CE / (L + 1e-10)]·L (sg: no
    gradient); "none" adds λ·L; "digit_share" adds λ·s·L with s the share of number tokens among the supervised ones, and
    where they get no cross-entropy, weighs CE on the others by 1 − s. ce_on_digits: whether number tokens also get cross-entropy (the released code's way,
    and the default) or the number loss alone (the paper's text). λ = 0.3 and "ce_ratio" are released-code defaults, not
    confirmed as the paper's.

    fused: compute both in one pass with a single gradient buffer, where the logits are float32 or bfloat16; about half
    the time and memory of F.cross_entropy alone. One backward only. overwrite_logits: let that buffer be the logits
    themselves, which nothing may need afterwards.

    weights [B, T] in a call say how much each label counts, for both losses (see NumberLoss). reduction="sum" or "none"
    needs balance="none": the others compare two means.

        full = WithCrossEntropy(NTIL(vocab))
        full(logits, labels).backward()          # logits [B, T, V] aligned with labels [B, T]; -100 ignored
        full.parts(logits, labels)               # .total .ce .number .emd .relative .magnitude .digits .numbers
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
        number_scale: Tensor | float = 1.0,
        weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> LossParts:
        """The combined loss with everything it is made of; on the fused path only `total` carries the graph.

        number_scale: a further factor on λ, for loops that weigh micro-batches by their share of a step.
        """
        check_weights(weights, labels)
        if reduction != "mean" and self.balance != "none":
            raise ValueError(
                f"reduction={reduction!r} needs balance='none'; {self.balance!r} balances the means of two losses."
            )
        with full_precision(logits.device):
            if reduction == "mean" and self.fused and can_fuse(logits) and not self.loss.needs_normaliser:
                return self._fused_parts(logits, labels, number_scale, weights)
            return self._plain_parts(logits, labels, number_scale, weights, reduction)

    def forward(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, reduction: str = "mean"
    ) -> Tensor:
        return self.parts(logits, labels, weights=weights, reduction=reduction).total

    def _plain_parts(
        self,
        logits: Tensor,
        labels: Tensor,
        number_scale: Tensor | float,
        weights: Tensor | None,
        reduction: str,
    ) -> LossParts:
        columns, normaliser = self.loss.read(logits, labels)
        spans = self.loss.spans(labels)
        number = self.loss.parts(columns, spans, normaliser, weights, reduction)
        is_number = spans.is_number
        ce = cross_entropy(logits, self._ce_labels(labels, is_number), weights, reduction)
        ce_weight, weight = self._weights(labels, is_number, number_scale, weights)
        if self.balance == "ce_ratio":
            weight = weight * ce.detach() / (number.total.detach() + 1e-10)
        total = ce_weight * ce + weight * number.total
        return LossParts(
            total, {"ce": ce, "number": number.total, **number.terms}, number.digits, number.numbers
        )

    def from_hidden(
        self,
        hidden: Tensor,
        weight: Tensor,
        labels: Tensor,
        bias: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """The same loss from hidden states [B, T, H] and the projection's weight [V, H], without ever holding [B, T, V].

        hidden is already aligned with labels [B, T], in float32 or bfloat16. Losses that need the whole vocabulary
        (`needs_normaliser`) cannot take this path.
        """
        return self.parts_from_hidden(hidden, weight, labels, bias, weights).total

    def parts_from_hidden(
        self,
        hidden: Tensor,
        weight: Tensor,
        labels: Tensor,
        bias: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> LossParts:
        """`from_hidden` with everything it is made of; only `total` carries the graph."""
        if self.loss.needs_normaliser:
            raise ValueError(
                f"{type(self.loss).__name__} needs the logits of the whole vocabulary; call it with them."
            )
        if hidden.dtype not in DTYPES:
            raise ValueError(f"from_hidden takes float32 or bfloat16 hidden states, not {hidden.dtype}.")
        spans = self.loss.spans(labels)
        is_number, at = spans.is_number, self.loss.columns
        picked = F.linear(hidden.detach(), weight.detach()[at], None if bias is None else bias.detach()[at])
        check_weights(weights, labels)
        wanted = torch.is_grad_enabled()
        number, gradient = self._number_with_gradient(self.loss.split(picked), spans, wanted, weights)
        total, ce = FusedLinearCrossEntropy.apply(
            hidden.flatten(0, -2),
            weight,
            bias,
            self._ce_labels(labels, is_number).flatten(),
            at,
            None if gradient is None else gradient.flatten(0, -2),
            number.total,
            self._weights(labels, is_number, weights=weights),
            self.balance == "ce_ratio",
            None if weights is None else weights.flatten(),
        )
        return LossParts(
            total, {"ce": ce, "number": number.total, **number.terms}, number.digits, number.numbers
        )

    def _ce_labels(self, labels: Tensor, is_number: Tensor) -> Tensor:
        return labels if self.ce_on_digits else labels.masked_fill(is_number, -100)

    def _weights(
        self,
        labels: Tensor,
        is_number: Tensor,
        number_scale: Tensor | float = 1.0,
        weights: Tensor | None = None,
    ) -> tuple[Tensor | float, Tensor | float]:
        """Of the cross-entropy and of the number loss, before the ratio."""
        weight = self.weight * number_scale
        if self.balance != "digit_share":
            return 1.0, weight
        numbers = is_number if weights is None else is_number * weights
        share = numbers.sum() / _count(labels >= 0, weights)
        return (1.0 if self.ce_on_digits else 1.0 - share), weight * share

    def _fused_parts(
        self, logits: Tensor, labels: Tensor, number_scale: Tensor | float, weights: Tensor | None
    ) -> LossParts:
        """The number loss and its gradient from a copy of the number tokens' columns; the rest in one pass."""
        columns = self.loss.number_logits(logits.detach(), labels)
        wanted = torch.is_grad_enabled() and logits.requires_grad
        spans = self.loss.spans(labels)
        is_number = spans.is_number
        number, gradient = self._number_with_gradient(columns, spans, wanted, weights)
        total, ce = FusedCrossEntropy.apply(
            logits,
            self._ce_labels(labels, is_number),
            self.loss.columns,
            gradient,
            number.total,
            self._weights(labels, is_number, number_scale, weights),
            self.balance == "ce_ratio",
            self.overwrite_logits,
            weights,
        )
        return LossParts(
            total, {"ce": ce, "number": number.total, **number.terms}, number.digits, number.numbers
        )

    def _number_with_gradient(
        self, columns: list[Tensor], spans: Spans, wanted: bool, weights: Tensor | None
    ) -> tuple[LossParts, Tensor | None]:
        """(the number loss without graph, its gradient by the columns [B, T, K] where `wanted`)."""
        columns = [column.detach().requires_grad_(wanted) for column in columns]
        with torch.set_grad_enabled(wanted):
            number = self.loss.parts(columns, spans, weights=weights)
        gradient = None
        if wanted:  # a loss may leave a group of tokens alone, such as coordinate bins that no label uses
            parts = torch.autograd.grad(number.total, columns, materialize_grads=True)
            gradient = torch.cat(parts, -1)
        terms = {name: term.detach() for name, term in number.terms.items()}
        return LossParts(number.total.detach(), terms, number.digits, number.numbers), gradient
