"""Base of the losses that look at one number token at a time: a distribution over values against one target value."""

from typing import NamedTuple

import torch
from torch import Tensor

from ntil.losses.base import NumberLoss, Term
from ntil.losses.functional import computing_dtype
from ntil.numbers import NumberVocab, Spans
from ntil.numbers.spans import NumberFormat

TOKENS = ("digits", "all")


class Candidates(NamedTuple):
    """The number tokens that compete at every position, and the positions where they do."""

    logits: Tensor  # [B, T, K]
    values: Tensor  # [K] what they are worth, in the logits' dtype
    target: Tensor  # [B, T] the label's value; 0 elsewhere
    here: Tensor  # [B, T] True where the label is one of them
    hit: (
        Tensor  # [B, T, K] True at the label itself (and its twin with a space), not at `007` for a label `7`
    )

    @property
    def distance(self) -> Tensor:
        """[B, T, K] V_j − y."""
        return self.values - self.target.unsqueeze(-1)


class TokenLevelLoss(NumberLoss):
    """A subclass implements `per_token(candidates, normaliser)`: [B, T], averaged over the batch's number tokens.

    tokens: "digits" lets the one-digit tokens compete and ignores longer ones, as the published losses do; "all" takes
    the number tokens of every width, by their values. Ordinal tokens compete among themselves in neither.
    """

    def __init__(
        self, vocab: NumberVocab, tokens: str = "digits", number_format: NumberFormat = "digits"
    ) -> None:
        super().__init__(vocab, number_format)
        if tokens not in TOKENS:
            raise ValueError(f"tokens must be 'digits' or 'all', not {tokens!r}.")
        widths = [group.width for group in vocab.groups if group.base == 10]
        if not widths or (tokens == "digits" and 1 not in widths):
            raise ValueError(
                f"{type(self).__name__} needs digit tokens, and {vocab} has none; try tokens='all'."
            )
        self.tokens = tokens
        self.chosen = [
            i for i, g in enumerate(vocab.groups) if g.base == 10 and (tokens == "all" or g.width == 1)
        ]

    def per_token(self, candidates: Candidates, normaliser: Tensor | None) -> Tensor:
        """[B, T] the loss of each token; what it says where `candidates.here` is False does not count."""
        raise NotImplementedError(f"{type(self).__name__} must implement per_token(candidates, normaliser)")

    def terms(self, columns: list[Tensor], spans: Spans, normaliser: Tensor | None) -> dict[str, Term]:
        candidates = self.candidates(columns, spans)
        losses = torch.where(candidates.here, self.per_token(candidates, normaliser), 0.0)
        return {self.names[0]: Term(losses, candidates.here.long())}

    def candidates(self, columns: list[Tensor], spans: Spans) -> Candidates:
        logits = torch.cat([columns[i] for i in self.chosen], dim=-1)
        values = torch.cat([self.groups()[i][1] for i in self.chosen]).to(computing_dtype(logits.dtype))
        here = torch.zeros_like(spans.is_number)
        for i in self.chosen:
            here = here | (spans.group == i)
        groups = torch.cat([torch.full_like(self.groups()[i][1], i) for i in self.chosen])
        target = torch.where(here, spans.value, 0).to(values.dtype)
        hit = (values == target.unsqueeze(-1)) & (groups == spans.group.unsqueeze(-1))
        return Candidates(logits, values, target, here, hit)


def number_mass(logits: Tensor, normaliser: Tensor) -> Tensor:
    """[B, T] probability of all number tokens together: logits [B, T, K], log Σ exp over the vocabulary [B, T]."""
    return (logits.logsumexp(-1) - normaliser).exp()


def reweighed(loss: Tensor, mass: Tensor, largest: Tensor | float) -> Tensor:
    """loss·m + 1.01·largest·(1 − m): mass on other tokens costs more than the worst number (`ntloss`)."""
    return loss * mass + 1.01 * largest * (1 - mass)
