"""Smoothed numbers: label smoothing over neighbouring whole numbers, the part of it that teacher forcing sees."""

import torch
from torch import Tensor

from ntil.losses import functional as terms
from ntil.losses.base import NumberLoss, Term
from ntil.losses.whole_number import by_number
from ntil.numbers import NumberVocab, Spans
from ntil.numbers.spans import NumberFormat

LEAST_WIDTH = 1e-2  # of one unit of the last digit: nothing is smoothed there, and nothing is divided by 0

FARTHEST = 1e6  # widths: the exponential of that is 0, and of infinity no logarithm is taken


class SequenceSmoothing(NumberLoss):
    """Σ_i Q_i · KL(q_i ‖ p_i) over a number's tokens, where the smoothed target is a distribution over whole numbers.

    q(Y') ∝ exp(−|Y' − y| / (temperature · y)) over the numbers Y' that are written with as many digits as y. Sequence-level
    smoothing trains on −E_q log p(Y'), which has a term for each prefix of each Y'. Those of the label's own prefixes are all that
    the logits tell: there q_i is the distribution of the next token under q, and Q_i the probability that q gives to
    the prefix. Both are exact: a token leaves an interval of numbers, whose weights are a geometric sum. So 199 is near 200 at its first
    digit already, and a last digit is smoothed only as far as neighbours share all others.

    Use it beside cross-entropy: λ = ε / (1 − ε) with balance="digit_share" is (1 − ε)·CE + ε·L, up to a factor, on numbers.
    The mean runs over the batch's number tokens, as cross-entropy's does, and p_i is the softmax over the tokens of the label's
    width.

    Args:
        vocab: the number tokens of a tokenizer.
        temperature: width of q as a share of the number; 0.05, our choice.
        number_format: as for `NTIL`.

    Raises:
        ValueError: where temperature is not positive.

    Source: sequence-level smoothing with a reward, Norouzi et al. 2016 (arXiv 1609.00150) and Elbayad et al. 2018
    (arXiv 1805.05062), who draw the neighbours; distance as the reward and the exact sum are ours.
    """

    names = ("sequence_smoothing",)

    def __init__(
        self, vocab: NumberVocab, temperature: float = 0.05, number_format: NumberFormat = "decimal"
    ) -> None:
        super().__init__(vocab, number_format)
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature}.")
        self.temperature = temperature

    def terms(self, columns: list[Tensor], spans: Spans, normaliser: Tensor | None) -> dict[str, Term]:
        scale = terms.leading_scale(spans)  # in units of the leading place, as all below
        open_to = torch.where(spans.is_number, scale, 1.0)
        rest = terms.within_number(scale * spans.value, spans.is_first, spans.number)[1].clamp(min=0.0)
        unit = terms.power_of_ten(-(spans.length - 1)).gather(-1, spans.number)
        y = by_number(scale * spans.value, spans).gather(-1, spans.number)
        width = (self.temperature * y).maximum(LEAST_WIDTH * unit)
        divergence, right = torch.zeros_like(scale), torch.zeros_like(scale)
        for i, (_, values, _) in enumerate(self.groups()):
            here = spans.group == i
            log_q = log_target(values - spans.value.unsqueeze(-1), open_to, rest, unit, width)
            log_p = terms.widen(columns[i].log_softmax(-1))
            q = log_q.exp()
            kl = (q * (log_q - log_p)).sum(-1)
            hit = (
                (q * (values == spans.value.unsqueeze(-1))).sum(-1).clamp_min(torch.finfo(q.dtype).tiny).log()
            )
            divergence, right = torch.where(here, kl, divergence), torch.where(here, hit, right)
        prefix = terms.within_number(right, spans.is_first, spans.number)[0].clamp(max=0.0).exp()
        losses = torch.where(spans.is_number, (prefix * divergence).relu(), 0.0)
        return {self.names[0]: Term(losses, spans.is_number.long())}


def log_target(steps: Tensor, scale: Tensor, rest: Tensor, unit: Tensor, width: Tensor) -> Tensor:
    """[B, T, K] log of the share of exp(−|Y' − y| / width) in the interval of numbers that each token leaves open.

    steps [B, T, K] token value minus label value; all else [B, T], in one unit: scale of the token's last digit, the rest of
    the label behind it, unit of the number's last digit, width. Sums over n steps of `unit` are geometric; their common factor
    1 / (1 − exp(−unit / width)) is left out.
    """
    scale, rest, unit, width = (x.unsqueeze(-1) for x in (scale, rest, unit, width))
    step = unit / width
    above = (steps * scale - rest) / width  # to the interval's lowest number, where it lies above the label
    below = (-steps * scale - scale + unit + rest) / width  # to its highest, where it lies below
    apart = torch.where(steps > 0, above, below).clamp(0.0, FARTHEST)
    other = -apart + torch.log(-torch.expm1(-(scale / width).clamp(max=700.0)))
    after = (scale - unit - rest).clamp(min=0.0)
    both_sides = -torch.expm1(-rest / width) - torch.expm1(-after / width)
    own = torch.log(-torch.expm1(-step) + torch.exp(-step) * both_sides)
    return torch.where(steps == 0, own, other).log_softmax(-1)
