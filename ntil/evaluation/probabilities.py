"""The probability of each token, taken as it is written.

Of a step's logits [B, V] nothing is kept but one number a row, so that memory does not grow with the answer's length times
the vocabulary: 64 steps of 16 rows and 151,936 tokens would be 620 MB.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, StoppingCriteria


class BeforeConstraints(LogitsProcessor):
    """The model's own probabilities of one step; it stands before whatever changes the scores, and changes none."""

    def __init__(self) -> None:
        self.probabilities = torch.empty(0)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids [B, T], scores float32 [B, V] → scores."""
        self.probabilities = scores.softmax(-1)
        return scores


class Written(StoppingCriteria):
    """Gathers them for the tokens that were chosen, on the device; it never ends an answer.

    What a row is padded with after its end is gathered too, and means nothing.
    """

    def __init__(self, step: BeforeConstraints) -> None:
        self.step = step
        self._chosen: list[Tensor] = []  # [B] for each step

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """input_ids [B, T] with the step's token last → [B], all False."""
        self._chosen.append(self.step.probabilities.gather(-1, input_ids[:, -1:]).squeeze(-1))
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    def all(self) -> Tensor:
        """[B, steps] on the CPU."""
        return torch.stack(self._chosen, dim=1).cpu()
