"""NTL-WAS: Wasserstein-1 distance of the number tokens' distribution to the target (ICML 2025, arXiv 2411.02083)."""

import torch
from torch import Tensor

from ntil.losses.token_level import Candidates, TokenLevelLoss, number_mass, reweighed
from ntil.numbers import NumberVocab


class NTLWAS(TokenLevelLoss):
    """Σ_j p_j·|V_j − y|. On one-digit tokens and without re-weighing this is EMD, averaged over all digits of the batch.

    Args:
        vocab: the number tokens of a tokenizer.
        tokens: "digits" or "all", see `TokenLevelLoss`.
        reweigh: count probability on other tokens as worse than the worst number (an option of `ntloss`, not of the paper).
        squash_factor: squeeze the distances linearly, so that the nearest wrong value costs 1 and the two that lie farthest apart
            this factor, above 1 (an option of `ntloss`); None leaves them as they are, which is a factor of 9 on digits.

    Raises:
        ValueError: where squash_factor is not above 1.

    Published use: CE + 0.3·NTL. Source: Number Token Loss, ICML 2025 (arXiv 2411.02083).
    """

    names = ("ntl_was",)

    def __init__(
        self,
        vocab: NumberVocab,
        tokens: str = "digits",
        reweigh: bool = False,
        squash_factor: float | None = None,
    ) -> None:
        super().__init__(vocab, tokens)
        if squash_factor is not None and not squash_factor > 1:
            raise ValueError(f"squash_factor must be above 1, got {squash_factor}.")
        self.needs_normaliser = reweigh
        values = torch.cat([vocab.groups[i].values for i in self.chosen]).unique()  # in ascending order
        self.largest = float(values[-1] - values[0])
        self.nearest, self.slope = 0.0, 1.0
        if squash_factor is not None and len(values) > 1:
            self.nearest = float(values.diff().min())
            apart = self.largest - self.nearest
            self.slope = (squash_factor - 1) / apart if apart else 0.0
            self.largest = 1 + apart * self.slope
        self.squash_factor = squash_factor

    def per_token(self, candidates: Candidates, normaliser: Tensor | None) -> Tensor:
        distance = candidates.distance.abs()
        if self.squash_factor is not None:
            distance = torch.where(distance > 0, 1 + (distance - self.nearest) * self.slope, 0.0)
        loss = (candidates.logits.softmax(-1) * distance).sum(-1)
        if normaliser is None:
            return loss
        return reweighed(loss, number_mass(candidates.logits, normaliser), self.largest)
