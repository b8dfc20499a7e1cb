"""Number-level NTL: relative error of the number made of the expected digits (`ntloss` NumberLevelLoss)."""

import torch
from torch import Tensor

from ntil.losses import functional as terms
from ntil.losses.base import LossParts, NumberLoss
from ntil.losses.token_level import number_mass, reweighed
from ntil.numbers import NumberVocab, Spans
from ntil.numbers.spans import NumberFormat


class NTLNumber(NumberLoss):
    """|ŷ − y| / (|ŷ| + |y| + eps) with ŷ = Σ 10^place · E[digit], averaged over the batch's numbers.

    With number_format="decimal", 12.34 is joined by place value; `ntloss` joins it as 1234 when asked for floats.
    reweigh: by the mass on number tokens at the number's first token, as `ntloss` does.
    """

    def __init__(
        self, vocab: NumberVocab, number_format: NumberFormat = "digits", reweigh: bool = False
    ) -> None:
        super().__init__(vocab, number_format)
        self.needs_normaliser = reweigh

    def parts(self, columns: list[Tensor], spans: Spans, normaliser: Tensor | None = None) -> LossParts:
        expected = torch.zeros_like(spans.value, dtype=terms.wide_dtype(spans.value.device))
        for i, (_, values, _) in enumerate(self.groups()):
            mean = terms.widen(columns[i].softmax(-1)) @ values.to(expected.dtype)
            expected = torch.where(spans.group == i, mean, expected)
        scale = terms.leading_scale(spans)
        empty = torch.zeros_like(scale)
        error = empty.scatter_add(-1, spans.number, scale * (expected - spans.value))
        written = empty.scatter_add(-1, spans.number, scale * expected)
        target = empty.scatter_add(-1, spans.number, scale * spans.value)
        eps = torch.finfo(torch.float32).eps * terms.power_of_ten(-spans.lead)
        loss = error.abs() / (written + target + eps)
        exists = spans.length > 0
        if normaliser is not None:
            mass = number_mass(torch.cat(columns, -1), normaliser)
            first = spans.is_number & (spans.rank + spans.width == spans.length.gather(-1, spans.number))
            mass = empty.scatter_add(-1, spans.number, torch.where(first, mass, 0.0).to(empty.dtype))
            loss = reweighed(loss, mass, 1.0)
        count = exists.sum()
        total = (torch.where(exists, loss, 0.0).sum() / count.clamp(min=1)).to(columns[0].dtype)
        return LossParts(total, {"ntl": total}, spans.width.sum(), count)
