"""DIST2Loss: KL divergence from a discretised, distance-shaped target (ICLR 2026, arXiv 2503.02379)."""

from torch import Tensor

from ntil.losses.token_level import Candidates, TokenLevelLoss
from ntil.numbers import NumberVocab


class DIST2(TokenLevelLoss):
    """KL(p_d ‖ p) with p_d ∝ exp(−(V_j − y)² / τ) and p the softmax over the number tokens.

    Its minimum is p_d, not the one-hot truth; cross-entropy beside it pulls the other way.

    Args:
        vocab: the number tokens of a tokenizer.
        tau: temperature of the target, in squared units of the tokens' values.
        tokens: "digits" or "all", see `TokenLevelLoss`.

    Raises:
        ValueError: where tau is not positive.

    Published use: CE + 0.1·KL. Source: DIST2Loss, ICLR 2026 (arXiv 2503.02379).
    """

    names = ("dist2",)

    def __init__(self, vocab: NumberVocab, tau: float = 1.0, tokens: str = "digits") -> None:
        super().__init__(vocab, tokens)
        if not tau > 0:
            raise ValueError(f"tau must be positive, got {tau}.")
        self.tau = tau

    def per_token(self, candidates: Candidates, normaliser: Tensor | None) -> Tensor:
        target = (-candidates.distance.square() / self.tau).log_softmax(-1)
        return (target.exp() * (target - candidates.logits.log_softmax(-1))).sum(-1)
