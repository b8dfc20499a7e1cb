"""NTL-WAS: Wasserstein-1 distance of the number tokens' distribution to the target (ICML 2025, arXiv 2411.02083)."""

from torch import Tensor

from ntil.losses.token_level import Candidates, TokenLevelLoss, number_mass, reweighed
from ntil.numbers import NumberVocab


class NTLWAS(TokenLevelLoss):
    """Σ_j p_j·|V_j − y|. On one-digit tokens and without re-weighing this is EMD, averaged over all digits of the batch.

    Args:
        vocab: the number tokens of a tokenizer.
        tokens: "digits" or "all", see `TokenLevelLoss`.
        reweigh: count probability on other tokens as worse than the worst number (an option of `ntloss`, not of the paper).

    Published use: CE + 0.3·NTL. Source: Number Token Loss, ICML 2025 (arXiv 2411.02083).
    """

    names = ("ntl_was",)

    def __init__(self, vocab: NumberVocab, tokens: str = "digits", reweigh: bool = False) -> None:
        super().__init__(vocab, tokens)
        self.needs_normaliser = reweigh

    def per_token(self, candidates: Candidates, normaliser: Tensor | None) -> Tensor:
        loss = (candidates.logits.softmax(-1) * candidates.distance.abs()).sum(-1)
        if normaliser is None:
            return loss
        largest = candidates.values.amax() - candidates.values.amin()
        return reweighed(loss, number_mass(candidates.logits, normaliser), largest)
