"""SMMD: a smoothed maximum mean discrepancy between the distribution and the target (ICML 2026, arXiv 2606.27731)."""

import torch
from torch import Tensor

from ntil.losses.token_level import Candidates, TokenLevelLoss
from ntil.numbers import NumberVocab

# Distances between values are rescaled linearly to this range; equal values stay at 0.
NEAREST, FARTHEST = (
    1.0,
    9.0,
)


class SMMD(TokenLevelLoss):
    """rᵀKr + a·rᵀ(D − K)r with r = p − onehot(y), K_ij = exp(−d_ij² / 2s²), D = diag(K1), a = 1 / (2 · mean degree).

    Args:
        vocab: the number tokens of a tokenizer.
        s: the kernel's width, in rescaled distances from 1 to 9.
        tokens: "digits" or "all", see `TokenLevelLoss`.

    Raises:
        ValueError: where s is not positive.

    The weight beside cross-entropy is not published. Source: SMMD, ICML 2026 (arXiv 2606.27731).
    """

    names = ("smmd",)

    def __init__(self, vocab: NumberVocab, s: float = 2.0, tokens: str = "all") -> None:
        super().__init__(vocab, tokens)
        if not s > 0:
            raise ValueError(f"s must be positive, got {s}.")
        self.s = s
        values = torch.cat([vocab.groups[i].values for i in self.chosen]).float()
        kernel = torch.exp(-(_rescaled(values).square()) / (2 * s**2))
        degree = kernel.sum(1)
        a = 1 / (2 * degree.mean())
        self.quadratic = torch.nn.Buffer(kernel + a * (degree.diag() - kernel), persistent=False)

    def per_token(self, candidates: Candidates, normaliser: Tensor | None) -> Tensor:
        p = candidates.logits.softmax(-1)
        same = candidates.hit.to(p.dtype)
        r = p - same / same.sum(-1, keepdim=True).clamp(min=1)  # `7` and ` 7` share the target
        return ((r @ self.quadratic.to(r.dtype)) * r).sum(-1)


def _rescaled(values: Tensor) -> Tensor:
    """[K, K] distances between values, the smallest that is not 0 as 1 and the largest as 9."""
    distance = (values - values[:, None]).abs()
    apart = distance[distance > 0]
    if len(apart) == 0:
        return distance
    low, high = apart.min(), apart.max()
    slope = (FARTHEST - NEAREST) / (high - low) if high > low else torch.tensor(0.0)
    return torch.where(distance > 0, NEAREST + (distance - low) * slope, 0.0)
