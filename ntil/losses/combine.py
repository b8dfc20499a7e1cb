"""Cross-entropy, alone or with a number loss on top."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ntil.losses.base import LossParts, NumberLoss

BALANCES = ("ce_ratio", "none")


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over the labels that are not negative; a connected 0 where there are none.

    logits [B, T, V], labels [B, T] → [] in float32 (float64 logits stay so).
    """
    targets = labels.flatten()
    summed = F.cross_entropy(
        logits.flatten(0, -2).float() if logits.dtype != torch.float64 else logits.flatten(0, -2),
        targets.clamp(min=-100).masked_fill(targets < 0, -100),
        ignore_index=-100,
        reduction="sum",
    )
    return summed / (targets >= 0).sum().clamp(min=1)


class CrossEntropy(nn.Module):
    """Plain cross-entropy with the interface of `WithCrossEntropy`."""

    def parts(self, logits: Tensor, labels: Tensor) -> LossParts:
        ce = cross_entropy(logits, labels)
        return LossParts(ce, {"ce": ce})

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.parts(logits, labels).total


class WithCrossEntropy(nn.Module):
    """CE + λ·loss: what one trains with.

    weight: λ. balance: "ce_ratio" scales the number loss to the cross-entropy's size, λ·sg[CE / (L + 1e-10)]·L (sg: no
    gradient); "none" adds λ·L. ce_on_digits: whether number tokens also get cross-entropy (the released code's way,
    and the default) or the number loss alone (the paper's text). λ = 0.3 and "ce_ratio" are released-code defaults, not
    confirmed as the paper's.

        full = WithCrossEntropy(NTIL(vocab))
        full(logits, labels).backward()          # logits [B, T, V] aligned with labels [B, T]; -100 ignored
        full.parts(logits, labels)               # .total .ce .number .emd .relative .magnitude .digits .numbers
    """

    def __init__(
        self, loss: NumberLoss, weight: float = 0.3, balance: str = "ce_ratio", ce_on_digits: bool = True
    ) -> None:
        super().__init__()
        if balance not in BALANCES:
            raise ValueError(f"balance must be one of {', '.join(BALANCES)}, not {balance!r}.")
        if not weight >= 0:
            raise ValueError(f"weight must not be negative, got {weight}.")
        self.loss, self.weight, self.balance, self.ce_on_digits = loss, weight, balance, ce_on_digits

    def extra_repr(self) -> str:
        return f"weight={self.weight}, balance={self.balance!r}, ce_on_digits={self.ce_on_digits}"

    def parts(self, logits: Tensor, labels: Tensor) -> LossParts:
        """The combined loss with everything that it is made of."""
        number = self.loss(logits, labels)
        ce_labels = labels
        if not self.ce_on_digits:
            ce_labels = labels.masked_fill(self.loss.spans(labels).is_number, -100)
        ce = cross_entropy(logits, ce_labels)
        scale = ce.detach() / (number.total.detach() + 1e-10) if self.balance == "ce_ratio" else 1.0
        total = ce + self.weight * scale * number.total
        return LossParts(
            total, {"ce": ce, "number": number.total, **number.terms}, number.digits, number.numbers
        )

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.parts(logits, labels).total
