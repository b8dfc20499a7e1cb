"""Plain cross-entropy, from logits or from hidden states."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ntil.losses.base import LossParts, sample_means
from ntil.losses.functional import gradient_where, without_masked
from ntil.losses.fused_linear import Head, checked_head, linear_cross_entropy
from ntil.losses.inputs import check_reduction, checked_label_weights, checked_labels


def cross_entropy(
    logits: Tensor, labels: Tensor, label_weights: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Cross-entropy of the labels that are not negative; a connected 0 where there are none.

    logits [..., V], labels [...], label_weights [...] → [] in float32 (float64 logits stay so); [...] with
    reduction="none". The mean is Σ w·x / Σ w. What the logits hold at negative labels reaches neither value nor gradient.
    """
    targets = labels.flatten()
    valid = targets >= 0
    rows = gradient_where(logits.flatten(0, -2), valid)
    rows = rows if rows.dtype == torch.float64 else rows.float()
    targets = torch.where(valid, targets, -100)
    if label_weights is None and reduction != "none":
        summed = F.cross_entropy(rows, targets, ignore_index=-100, reduction="sum")
        return summed / valid.sum().clamp(min=1) if reduction == "mean" else summed
    each = F.cross_entropy(rows, targets, ignore_index=-100, reduction="none").view_as(labels)
    return reduced(each, labels, label_weights, reduction)


def reduced(each: Tensor, labels: Tensor, label_weights: Tensor | None, reduction: str) -> Tensor:
    """[...] from what each label costs [..., B, T], 0 where it is masked; [..., B, T] with reduction="none"."""
    if label_weights is not None:
        each = each * label_weights.to(each.dtype)
    if reduction == "none":
        return each
    total = each.sum((-2, -1))
    return total / label_count(labels, label_weights) if reduction == "mean" else total


def label_count(labels: Tensor, label_weights: Tensor | None) -> Tensor:
    """What a mean over the labels that are not negative divides by; 1 where there is nothing."""
    valid = labels >= 0
    count = valid.sum() if label_weights is None else (valid * label_weights).sum()
    return torch.where(count > 0, count, torch.ones_like(count))


class FullLoss(nn.Module):
    """What a model can be trained with: the calls and arguments that `CrossEntropy` and `WithCrossEntropy` share.

    logits [B, T, V] aligned with labels [B, T] (row t of the logits predicts label t), of which negative ones, such as
    -100, are masked: what the logits hold there reaches neither the value nor the gradient. label_weights [B, T] say how
    much each label counts; reduction is "mean", "sum" or "none".
    """

    def parts(
        self,
        logits: Tensor,
        labels: Tensor,
        *,
        label_weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> LossParts:
        """The loss with everything it is made of."""
        raise NotImplementedError(f"{type(self).__name__} must implement parts(logits, labels)")

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        *,
        label_weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        return self.parts(logits, labels, label_weights=label_weights, reduction=reduction).total

    def from_hidden(
        self,
        hidden: Tensor,
        head_weight: Tensor,
        labels: Tensor,
        *,
        head_bias: Tensor | None = None,
        logit_scale: float = 1.0,
        softcap: float | None = None,
        label_weights: Tensor | None = None,
    ) -> Tensor:
        """The same loss from hidden states [B, T, H] and the model's head, without ever holding [B, T, V].

        hidden is already aligned with labels [B, T]; the logits that it stands for are z = logit_scale·(hidden·Wᵀ + b)
        with head_weight W [V, H] and head_bias b [V], or softcap·tanh(z / softcap). float32, bfloat16 and float16 may be
        mixed: the products are made in bfloat16 where both are or autocast says so, and in float32 otherwise. Losses
        that need the whole vocabulary (`needs_normaliser`) cannot take this path.
        """
        return self.parts_from_hidden(
            hidden,
            head_weight,
            labels,
            head_bias=head_bias,
            logit_scale=logit_scale,
            softcap=softcap,
            label_weights=label_weights,
        ).total

    def parts_from_hidden(
        self,
        hidden: Tensor,
        head_weight: Tensor,
        labels: Tensor,
        *,
        head_bias: Tensor | None = None,
        logit_scale: float = 1.0,
        softcap: float | None = None,
        label_weights: Tensor | None = None,
        **options: Tensor | float,
    ) -> LossParts:
        """`from_hidden` with everything it is made of; only `total` carries the graph. options: those of `parts`."""
        labels = checked_labels(hidden, labels, "hidden", "H")
        label_weights = checked_label_weights(label_weights, labels, hidden)
        head = checked_head(hidden, Head(head_weight, head_bias, logit_scale, softcap))
        return self._parts_of_head(
            without_masked(hidden, labels >= 0), head, labels, label_weights, **options
        )

    def _parts_of_head(
        self, hidden: Tensor, head: Head, labels: Tensor, label_weights: Tensor | None
    ) -> LossParts:
        raise NotImplementedError(f"{type(self).__name__} cannot be computed from hidden states")


class CrossEntropy(FullLoss):
    """Plain cross-entropy with the interface of `WithCrossEntropy`.

    CrossEntropy()(logits, labels).backward()       # logits [B, T, V] aligned with labels [B, T]; -100 is ignored
    """

    def parts(
        self,
        logits: Tensor,
        labels: Tensor,
        *,
        label_weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> LossParts:
        labels = checked_labels(logits, labels)
        label_weights = checked_label_weights(label_weights, labels, logits)
        check_reduction(reduction)
        ce = cross_entropy(logits, labels, label_weights, reduction)
        return LossParts(ce, {"ce": ce})

    def of_samples(self, logits: Tensor, labels: Tensor) -> Tensor:
        """[B] what each sample costs as a batch of its own, from logits [B, T, V] and labels [B, T]."""
        each = self.parts(logits, labels, reduction="none").total
        return sample_means(each, labels >= 0)

    def _parts_of_head(
        self, hidden: Tensor, head: Head, labels: Tensor, label_weights: Tensor | None
    ) -> LossParts:
        total, ce = linear_cross_entropy(hidden, head, labels, label_weights=label_weights)
        return LossParts(total, {"ce": ce})
