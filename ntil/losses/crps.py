"""CRPS: continuous ranked probability score of the whole number, proper for independent digits."""

import torch
from torch import Tensor

from ntil.losses import functional as terms
from ntil.losses.whole_number import WholeNumberLoss, by_number
from ntil.numbers import Spans


class CRPS(WholeNumberLoss):
    """E|X − y| − ½·E|X − X'| with X and X' two independent draws of the whole number, in units of `scale`.

    Both expectations are exact, without sampling. E|X − y| is `functional.number_emd`. In X − X' the first token that differs
    decides the sign, and the tokens behind it differ by 0 on average, so with q_j the probability that two draws of token j are
    equal, E|X − X'| = Σ_k (Π_{j<k} q_j) · scale_k · E|a_k − a'_k|.

    The score is proper among numbers with independent tokens: its expectation is lowest for the true distribution. Where the
    true digits depend on each other, teacher forcing's conditional distributions are no such number, and it need not be.

    Args:
        vocab: the number tokens of a tokenizer.
        number_format: as for `NTIL`.
        scale: "digits" or "value", see `WholeNumberLoss` (ours).

    Raises:
        ValueError: where scale is neither.

    The weight beside cross-entropy is our choice. Source: Gneiting and Raftery, JASA 2007 (the score).
    """

    names = ("crps",)

    def per_number(self, columns: list[Tensor], spans: Spans, scale: Tensor) -> Tensor:
        to_target = terms.number_emd(self.token_off(columns, spans), spans.is_first, spans.number, scale)
        equal = self.by_token(columns, spans, chance_of_equals)
        log_equal = torch.where(spans.is_number, equal, 1.0).clamp_min(torch.finfo(equal.dtype).tiny).log()
        prefix_equal = terms.within_number(log_equal, spans.is_first, spans.number)[0].clamp(max=0.0).exp()
        apart = self.by_token(columns, spans, mean_distance)
        between = by_number(prefix_equal * scale * apart, spans)
        return (to_target - between / 2).relu()  # below 0 by rounding alone

    def token_off(self, columns: list[Tensor], spans: Spans) -> terms.TokenOff:
        """How the tokens at each position lie about the label's; all 0 where it is no number token."""
        off = terms.TokenOff(*[torch.zeros_like(spans.value, dtype=terms.wide_dtype(spans.value.device))] * 4)
        for i, (_, values, _) in enumerate(self.groups()):
            found = terms.token_off(columns[i].softmax(-1), values, spans.value)
            off = terms.TokenOff(
                *(torch.where(spans.group == i, new, old) for new, old in zip(found, off, strict=True))
            )
        return off


def chance_of_equals(p: Tensor, values: Tensor) -> Tensor:
    """[...] probability that two draws from p [..., K] have the same value; values [K] ascend, and twins (`7`, ` 7`) share one."""
    which = torch.cat([torch.zeros_like(values[:1]), (values.diff() > 0).to(values.dtype)]).cumsum(0).long()
    return torch.zeros_like(p).index_add(-1, which, p).square().sum(-1)


def mean_distance(p: Tensor, values: Tensor) -> Tensor:
    """[...] E|a − a'| of two draws from p [..., K] over values [K] in ascending order: 2·Σ F·(1 − F)·step."""
    below = p.cumsum(-1)[..., :-1]
    return 2 * (below * (1 - below) * values.diff()).sum(-1)
