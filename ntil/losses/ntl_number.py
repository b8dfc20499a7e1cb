"""Number-level NTL: relative error of the number made of the expected digits (`ntloss` NumberLevelLoss)."""

import torch
from torch import Tensor

from ntil.losses import functional as terms
from ntil.losses.base import NumberLoss, Term
from ntil.losses.token_level import number_mass, reweighed
from ntil.numbers import NumberVocab, Spans
from ntil.numbers.spans import NumberFormat


class NTLNumber(NumberLoss):
    """|ŷ − y| / (|ŷ| + |y| + eps) with ŷ = Σ 10^place · E[digit], averaged over the batch's numbers.

    Args:
        vocab: the number tokens of a tokenizer.
        number_format: with "decimal", 12.34 is joined by place value; `ntloss` joins it as 1234 when asked for floats.
        reweigh: by the mass on number tokens at the number's first token, as `ntloss` does.
    """

    names = ("ntl_number",)

    def __init__(
        self, vocab: NumberVocab, number_format: NumberFormat = "digits", reweigh: bool = False
    ) -> None:
        super().__init__(vocab, number_format)
        self.needs_normaliser = reweigh

    def terms(self, columns: list[Tensor], spans: Spans, normaliser: Tensor | None) -> dict[str, Term]:
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
            mass = self._mass(columns, spans, normaliser)
            mass = empty.scatter_add(-1, spans.number, torch.where(spans.is_first, mass, 0.0).to(empty.dtype))
            loss = reweighed(loss, mass, 1.0)
        return {"ntl_number": Term(torch.where(exists, loss, 0.0), exists.long(), by_number=True)}

    def _mass(self, columns: list[Tensor], spans: Spans, normaliser: Tensor) -> Tensor:
        """[B, T] probability of the tokens that could stand there: of digit tokens, or at an ordinal, of ordinals."""
        kinds = [group.base == 10 for group in self.vocab.groups]
        mass = torch.zeros_like(normaliser)
        for is_decimal in set(kinds):
            chosen = [i for i, kind in enumerate(kinds) if kind == is_decimal]
            here = torch.isin(spans.group, torch.tensor(chosen, device=spans.group.device))
            mass = torch.where(
                here, number_mass(torch.cat([columns[i] for i in chosen], -1), normaliser), mass
            )
        return mass
