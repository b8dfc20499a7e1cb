"""Answers for a batch of questions, greedy unless another choice is handed over, with the probability of each token written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from ntil.data.dataset import collate
from ntil.evaluation.constrain import AnswerConstraint
from ntil.evaluation.probabilities import BeforeConstraints, Written
from ntil.models.adapters import Adapter
from ntil.models.load import logit_width


class Candidates(NamedTuple):
    """What the model may answer, under its own distribution (under a constraint: renormalised to what that allows)."""

    weights: dict[str, float]  # text → its share; they sum to 1, the most probable first
    mass: float | None  # of the distribution, that the beam search has seen; None where none was made
    sampled: bool  # shares are those of samples, not the probabilities of whole answers


class Generated(NamedTuple):
    """An answer: its text, its tokens' texts and their probabilities when they were written, before any constraint."""

    text: str
    tokens: list[str]
    probabilities: list[float]
    candidates: Candidates | None = None


class Question(NamedTuple):
    prompt: str
    image: Image.Image | None
    place: int = 0  # among all that are asked, for the random numbers of its samples


Encoded = dict[str, Tensor]  # a question as `Adapter.encode` gives it


@torch.no_grad()
def generate(
    model: PreTrainedModel,
    adapter: Adapter,
    questions: Sequence[Question | Encoded],
    max_new_tokens: int,
    pattern: str | None = None,
    synced: bool = False,
    choose: LogitsProcessor | None = None,
) -> list[Generated]:
    """Answer one batch. The model's mode is restored afterwards.

    pattern: a regular expression; only answers that match it can be written (up to `max_new_tokens`). synced: go on until the
    other processes' answers have ended, too; each layer of a model that is divided among them needs all of them. choose: comes
    last and leaves one token of each row; null for the most probable one.
    """
    rows = [
        adapter.encode(question.prompt, question.image, None) if isinstance(question, Question) else question
        for question in questions
    ]
    batch = batch_of(model, adapter, rows)
    asked = batch["input_ids"].shape[1]
    step = BeforeConstraints()
    written = Written(step)
    held, ends = held_and_ended(model, adapter, asked, pattern)
    chosen = [] if choose is None else [choose]
    with answering(model):
        sequences = model.generate(
            **batch,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            return_dict_in_generate=False,
            pad_token_id=adapter.pad_token_id,
            eos_token_id=list(adapter.stop_ids),
            logits_processor=LogitsProcessorList([step, *held, *chosen]),
            stopping_criteria=StoppingCriteriaList([written, *ends]),
            synced_gpus=synced,
        )
    new = sequences[:, asked:].cpu()
    return [as_generated(adapter, ids, row.tolist()) for ids, row in zip(new, written.all(), strict=True)]


def batch_of(model: PreTrainedModel, adapter: Adapter, rows: Sequence[Encoded]) -> dict[str, Any]:
    """What the model takes of encoded questions, on its device."""
    return {name: value.to(model.device) for name, value in collate(list(rows), adapter.pad_token_id).items()}


def held_and_ended(
    model: PreTrainedModel, adapter: Adapter, prompt_length: int, pattern: str | None
) -> tuple[list[LogitsProcessor], list[StoppingCriteria]]:
    """What holds answers to the pattern, and what ends them beside the family's stop tokens."""
    held = [] if pattern is None else [AnswerConstraint(adapter, pattern, prompt_length, logit_width(model))]
    ends = [] if adapter.stop_text is None else [_StopText(adapter, prompt_length)]
    return [*held], [*ends]


def as_generated(adapter: Adapter, token_ids: Tensor, probabilities: Sequence[float]) -> Generated:
    """token_ids [T]: what was generated, maybe with its end and padding; probabilities: of the first of these at least."""
    ids = adapter.written(token_ids)
    tokens = [adapter.tokenizer.decode([token]) for token in ids]
    return Generated(adapter.decode(token_ids), tokens, [round(p, 4) for p in probabilities[: len(ids)]])


@contextmanager
def answering(model: PreTrainedModel) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


class _StopText(StoppingCriteria):
    """Ends an answer that holds the family's stop text, however that is split into tokens."""

    def __init__(self, adapter: Adapter, prompt_length: int) -> None:
        self.adapter, self.prompt_length = adapter, prompt_length

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """input_ids [B, T] → [B], True where the answer is over."""
        new = input_ids[:, self.prompt_length :]
        ended = [len(self.adapter.written(ids)) < len(ids) for ids in new.cpu()]
        return torch.tensor(ended, device=input_ids.device)


def batches(count: int, size: int) -> Iterator[range]:
    """0 … count−1 in ranges of at most `size`."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))
