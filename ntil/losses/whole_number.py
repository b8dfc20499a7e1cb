"""Base of the losses on the value of a whole number, whose tokens are taken as independent of each other."""

from collections.abc import Callable

import torch
from torch import Tensor

from ntil.losses import functional as terms
from ntil.losses.base import NumberLoss, Term
from ntil.numbers import NumberVocab, Spans
from ntil.numbers.spans import NumberFormat

SCALES = ("digits", "value")
SMALLEST = 1e-3  # of the leading place: what `scale="value"` takes for the value of 0000001 and of 0000000


class WholeNumberLoss(NumberLoss):
    """A subclass implements `per_number(columns, spans, scale)`: [B, T] by number, averaged over the batch's numbers.

    X is the number that the model writes in the label's shape: its tokens are drawn from the distributions at the label's
    positions, each by itself. Under teacher forcing these are conditional on the *label's* digits, so at the first token X is
    the model's own, and behind a wrong token it stands for what the model would have written there, which nobody has asked.

    scale: the unit of |X − y|. "digits" is the number's leading place, so 12345 and 00345 count in units of 10⁴ and 0.98 in
    units of 1: it depends on how a number is written and not on its value, so that a proper score stays one. "value" is the
    target itself, so that small numbers among padded ones count as much as large ones; as a weight that depends on the target it
    shifts the optimum towards small values. No value counts as less than one unit of the last digit, or 10⁻³ of the leading place.
    """

    def __init__(
        self, vocab: NumberVocab, number_format: NumberFormat = "decimal", scale: str = "digits"
    ) -> None:
        super().__init__(vocab, number_format)
        if scale not in SCALES:
            raise ValueError(f"scale must be 'digits' or 'value', not {scale!r}.")
        self.scale = scale

    def per_number(self, columns: list[Tensor], spans: Spans, scale: Tensor) -> Tensor:
        """[B, T] by number; scale [B, T] is what one unit of each token's last digit is worth, 0 where it is no number token."""
        raise NotImplementedError(f"{type(self).__name__} must implement per_number(columns, spans, scale)")

    def terms(self, columns: list[Tensor], spans: Spans, normaliser: Tensor | None) -> dict[str, Term]:
        scale, exists = terms.leading_scale(spans), spans.length > 0
        if self.scale == "value":
            unit = terms.power_of_ten(1 - spans.length)
            value = by_number(scale * spans.value, spans).maximum(unit).clamp(min=SMALLEST)
            scale = scale / value.gather(-1, spans.number)
        losses = torch.where(exists, self.per_number(columns, spans, scale), 0.0)
        return {self.names[0]: Term(losses, exists.long(), by_number=True)}

    def by_token(
        self, columns: list[Tensor], spans: Spans, statistic: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """[B, T] statistic(probabilities [B, T, K], values [K]) of the tokens that compete at each position, in the wide dtype;
        0 where it is no number token."""
        found = torch.zeros_like(spans.value, dtype=terms.wide_dtype(spans.value.device))
        for i, (_, values, _) in enumerate(self.groups()):
            probabilities = terms.widen(columns[i].softmax(-1))
            found = torch.where(spans.group == i, statistic(probabilities, values.to(found.dtype)), found)
        return found


def by_number(x: Tensor, spans: Spans) -> Tensor:
    """[B, T] the sum of x over the tokens of each number, indexed by number; x is 0 where it is no number token."""
    return torch.zeros_like(x).scatter_add(-1, spans.number, x)
