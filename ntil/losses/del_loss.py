"""DEL: digit-weighted binary cross-entropy (arXiv 2605.20369)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ntil.losses.base import NumberLoss, Term
from ntil.numbers import NumberVocab, Spans
from ntil.numbers.spans import NumberFormat


class DEL(NumberLoss):
    """mean over digits and digit tokens of w_t · p_tj · BCE-with-logits(z_tj, [j is the label]). Published: CE + 0.01·DEL.

    w_t = 2·(k+1) for the integer digit k places from the units; decimal_base^(−k) for the k-th decimal; the point has none. p is the
    softmax over the digit tokens and keeps its gradient.

    Args:
        vocab: the number tokens of a tokenizer.
        decimal_base: 1.02, the paper's "falling powers of 1.02" in our reading.
        number_format: as for `NTIL`.

    Raises:
        ValueError: where decimal_base is not positive.

    Source: DEL (arXiv 2605.20369).
    """

    names = ("del",)

    def __init__(
        self, vocab: NumberVocab, decimal_base: float = 1.02, number_format: NumberFormat = "decimal"
    ) -> None:
        super().__init__(vocab, number_format)
        if not decimal_base > 0:
            raise ValueError(f"decimal_base must be positive, got {decimal_base}.")
        self.decimal_base = decimal_base

    def terms(self, columns: list[Tensor], spans: Spans, normaliser: Tensor | None) -> dict[str, Term]:
        dtype = columns[0].dtype
        place = spans.place.to(dtype)
        weight = torch.where(spans.place >= 0, 2 * (place + 1), self.decimal_base**place)
        losses = torch.zeros_like(place)
        for i, (_, values, _) in enumerate(self.groups()):
            hit = (values == spans.value.unsqueeze(-1)).to(dtype)  # [B, T, K]
            bce = F.binary_cross_entropy_with_logits(columns[i], hit, reduction="none")
            losses = torch.where(spans.group == i, weight * (columns[i].softmax(-1) * bce).mean(-1), losses)
        return {"del": Term(losses, spans.is_number.long())}
