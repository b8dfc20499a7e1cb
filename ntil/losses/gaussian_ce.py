"""Gaussian cross-entropy: label smoothing over neighbouring numbers."""

from torch import Tensor

from ntil.losses.token_level import Candidates, TokenLevelLoss
from ntil.numbers import NumberVocab


class GaussianCE(TokenLevelLoss):
    """−Σ_j q_j·log p_j with q_j ∝ exp(−(V_j − y)² / 2σ²) over the number tokens and p over the whole vocabulary.

    It replaces cross-entropy on numbers: use it with ce_on_digits=False and balance="digit_share".

    Args:
        vocab: the number tokens of a tokenizer.
        sigma: standard deviation of the target, in units of the tokens' values.
        tokens: "digits" or "all", see `TokenLevelLoss`.

    Raises:
        ValueError: where sigma is not positive.
    """

    names = ("gaussian_ce",)
    needs_normaliser = True

    def __init__(self, vocab: NumberVocab, sigma: float = 1.0, tokens: str = "digits") -> None:
        super().__init__(vocab, tokens)
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma}.")
        self.sigma = sigma

    def per_token(self, candidates: Candidates, normaliser: Tensor | None) -> Tensor:
        assert normaliser is not None
        target = (-candidates.distance.square() / (2 * self.sigma**2)).softmax(-1)
        return normaliser - (target * candidates.logits).sum(-1)
