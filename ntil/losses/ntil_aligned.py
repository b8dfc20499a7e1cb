"""NTIL aligned: NTIL on whole decimals whose digits are charged one by one, behind the first wrong one no more."""

import torch
from torch import Tensor

from ntil.losses import functional as terms
from ntil.losses.base import Term
from ntil.losses.ntil import NTIL, label_digits
from ntil.numbers import NumberVocab, Spans

SURELY_WRONG = 700.0  # −log of the smallest trust: exp(−700) is the smallest a float64 holds, about


class NTILAligned(NTIL):
    """γ·mean(w·g·EMD) + α·mean(L_rel) + β·mean(L_mag) on decimals: 0.98 is one number, and its digits' EMDs are those of `digits`.

    EMD_i = Σ_j |j − d_i|·p_ij and w_i = (1+σ)^place, where units have place 0 and tenths −1: for integers NTIL's weight, which is
    the same for a digit of one place whatever the number's length. The trust g_i = min_{k<i} p_k(d_k) / max_a p_k(a), without a
    gradient, is 1 as long as greedy decoding writes the label's digits and stays near 1 where the model hesitates; it is 0 behind
    a digit that is surely wrong, since what the model would write there nobody has asked. So against 0.98 both 1.98 and 1.01
    have one wrong digit, and L_rel and L_mag, which see the whole number, say that 1.01 is nearer. No digit is paid for making
    good an earlier one's error in the EMD, and none has less than its w to say while the digits before it are right.

    Args:
        as for `NTIL` (released-code defaults), without number_format. Ours but for the terms it shares.

    Returns:
        `LossParts` with the terms emd, relative and magnitude before their weights, and counts of digits and numbers.

    Raises:
        ValueError: where a setting is out of range.
    """

    def __init__(
        self,
        vocab: NumberVocab,
        sigma: float = 0.2,
        alpha: float = 0.2,
        beta: float = 0.2,
        gamma: float = 1.0,
        tau: float = 0.1,
        noise_scale: float = 0.01,
        epsilon: float = 1.0,
        construction: str = "straight_through",
    ) -> None:
        super().__init__(vocab, sigma, alpha, beta, gamma, tau, noise_scale, "decimal", epsilon, construction)

    def terms(self, columns: list[Tensor], spans: Spans, normaliser: Tensor | None) -> dict[str, Term]:
        found = super().terms(columns, spans, normaliser)
        if self.gamma:  # by token, where NTIL has one EMD for a whole decimal
            found["emd"] = Term(found["emd"].values, spans.width, weight=self.gamma)
        return found

    def _emd(self, columns: list[Tensor], spans: Spans) -> Tensor:
        """[B, T] by token: Σ w·g·EMD over the token's digits."""
        emd = torch.zeros_like(spans.width, dtype=terms.wide_dtype(spans.width.device))
        doubts = torch.zeros_like(emd)  # the greatest of a token's digits
        charged = []
        for i, (group, values, digits) in enumerate(self.groups()):
            marginals, label = self._marginals(columns[i], i), label_digits(spans, values, digits)
            doubt = torch.where((spans.group == i).unsqueeze(-1), _doubt(marginals.detach(), label), 0.0)
            inner = torch.arange(group.width - 1, -1, -1, device=emd.device)
            weight = terms.position_weight(inner, self.sigma)
            charged.append((terms.digit_emd(marginals, label) * weight, doubt))
            doubts = doubts.maximum(doubt.amax(-1))
        earlier = greatest_before(doubts, spans.number).unsqueeze(-1)
        for i, (distance, doubt) in enumerate(charged):
            so_far = torch.cat([earlier, doubt[..., :-1]], -1).cummax(-1).values
            emd = torch.where(spans.group == i, (distance * (-so_far).exp()).sum(-1), emd)
        return emd * terms.position_weight(spans.place, self.sigma)


def _doubt(marginals: Tensor, label: Tensor) -> Tensor:
    """[..., w] −log(p(d) / max p) of each digit, at most SURELY_WRONG; marginals [..., w, base], label [..., w]."""
    wide = terms.widen(marginals)
    right = wide.gather(-1, label.unsqueeze(-1)).squeeze(-1)
    ratio = right / wide.amax(-1).clamp_min(torch.finfo(wide.dtype).tiny)
    return -ratio.clamp_min(torch.finfo(wide.dtype).tiny).log().clamp(-SURELY_WRONG, 0.0)


def greatest_before(x: Tensor, number: Tensor) -> Tensor:
    """[B, T] the greatest x in [0, SURELY_WRONG] of the tokens before each one in its number, 0 at the first; x [B, T] is 0 where
    it is no number token."""
    # Numbers come in ascending order, so a step between them keeps what an earlier number holds below all that a later one does.
    base = number.to(x.dtype) * (2 * SURELY_WRONG)
    highest = (base + x).cummax(-1).values
    before = torch.cat([torch.zeros_like(x[..., :1]), highest[..., :-1]], -1)[..., : x.shape[-1]]
    return (before - base).clamp(min=0.0)
