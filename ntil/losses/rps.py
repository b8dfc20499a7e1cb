"""RPS: squared distance between the cumulative distributions of prediction and target, a proper score."""

import torch
from torch import Tensor

from ntil.losses.token_level import Candidates, TokenLevelLoss
from ntil.numbers import NumberVocab


class RPS(TokenLevelLoss):
    """Ranked probability score, or squared EMD: Σ_k (P(value ≤ k) − [y ≤ k])² over the values k that number tokens have.

    Its expectation is lowest where the model's distribution is the true one, which the EMD Σ_j |j − y|·p_j lacks: that is
    lowest for a point mass at the median. Over the ten digits the sum has nine cut points and lies between 0 and 9.

    Args:
        vocab: the number tokens of a tokenizer.
        tokens: "digits" or "all", see `TokenLevelLoss`. With "all" every value that some token has is a cut point.

    The weight beside cross-entropy is our choice. Source: squared EMD for ordered classes, Hou et al. 2016; the ranked
    probability score is Epstein's (1969).
    """

    names = ("rps",)

    def __init__(self, vocab: NumberVocab, tokens: str = "digits") -> None:
        super().__init__(vocab, tokens)
        values = torch.cat([vocab.groups[i].values for i in self.chosen])
        order = values.argsort(stable=True)
        # Tokens of equal value (`7`, ` 7`, `07`) lie on the same side of every cut: it stands behind the last of them.
        cuts = torch.cat([values[order].diff() > 0, torch.tensor([True])]).nonzero().flatten()
        self.order = torch.nn.Buffer(order, persistent=False)
        self.cuts = torch.nn.Buffer(cuts, persistent=False)
        self.cut_values = torch.nn.Buffer(values[order][cuts], persistent=False)

    def per_token(self, candidates: Candidates, normaliser: Tensor | None) -> Tensor:
        cumulative = candidates.logits.softmax(-1)[..., self.order].cumsum(-1)[..., self.cuts]
        target = (candidates.target.unsqueeze(-1) <= self.cut_values).to(cumulative.dtype)
        return (cumulative - target).square().sum(-1)
