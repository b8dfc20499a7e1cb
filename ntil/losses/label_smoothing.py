"""Label smoothing: cross-entropy to a target that leaves a share to the whole vocabulary (Szegedy et al. 2016)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ntil.losses.base import LossParts
from ntil.losses.cross_entropy import CrossEntropy, label_count, reduced
from ntil.losses.functional import computing_dtype, full_precision, gradient_where
from ntil.losses.fused_linear import Head, linear_cross_entropy
from ntil.losses.inputs import check_reduction, checked_label_weights, checked_labels


class LabelSmoothing(CrossEntropy):
    """(1 − ε)·CE + ε·U with U = −mean_v log p_v over the V logits of each label, as in `F.cross_entropy(label_smoothing=ε)`.

        LabelSmoothing(0.1)(logits, labels).backward()      # logits [B, T, V] aligned with labels [B, T]; -100 is ignored

    It knows nothing of numbers: the baseline for losses that smooth over neighbours. From hidden states it is the cross-entropy
    plus ε times the label's logit over the mean one, which needs no full logits.

    Args:
        epsilon: share of the target that is spread over all V entries, padded ones included; 0.1 (Vaswani et al. 2017).

    Returns:
        as `CrossEntropy`; the parts are ce, without smoothing, and uniform, U.

    Raises:
        ValueError: where epsilon is not in [0, 1), or the head has a softcap.

    Source: label smoothing, Szegedy et al. 2016 (arXiv 1512.00567).
    """

    def __init__(self, epsilon: float = 0.1) -> None:
        super().__init__()
        if not 0 <= epsilon < 1:
            raise ValueError(f"epsilon must be at least 0 and below 1, got {epsilon}.")
        self.epsilon = epsilon

    def extra_repr(self) -> str:
        return f"epsilon={self.epsilon}"

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
        valid = labels >= 0
        log_p = gradient_where(logits, valid).to(computing_dtype(logits.dtype)).log_softmax(-1)
        nll = -log_p.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        each = torch.where(valid, torch.stack([nll, -log_p.mean(-1)]), 0.0)  # [2, B, T]
        ce, uniform = reduced(each, labels, label_weights, reduction).unbind()
        return self._joined(ce, uniform, (1 - self.epsilon) * ce + self.epsilon * uniform)

    def _parts_of_head(
        self, hidden: Tensor, head: Head, labels: Tensor, label_weights: Tensor | None
    ) -> LossParts:
        if head.softcap is not None:
            raise ValueError(
                "LabelSmoothing needs the mean of all logits, which a softcap hides from the hidden states; "
                "call it with the logits."
            )
        total, ce = linear_cross_entropy(hidden, head, labels, label_weights=label_weights)
        # U − CE is the label's logit over the mean one, and the mean logit is that of the head's mean row.
        with full_precision(hidden.device):
            at = labels.clamp(min=0)
            row = F.embedding(at, head.weight).float() - head.weight.float().mean(0)
            over = (hidden.float() * row).sum(-1)
            if head.bias is not None:
                over = over + head.bias.float()[at] - head.bias.float().mean()
            weights = (labels >= 0).float() if label_weights is None else label_weights.float()
            mean_over = (head.scale * over * weights).sum() / label_count(labels, label_weights)
        return self._joined(ce, ce + mean_over.detach(), total + self.epsilon * mean_over)

    @staticmethod
    def _joined(ce: Tensor, uniform: Tensor, total: Tensor) -> LossParts:
        return LossParts(total, {"ce": ce, "uniform": uniform})
