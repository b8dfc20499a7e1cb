"""Greedy answers for a batch of questions, with the probability of each token written."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from transformers import LogitsProcessorList, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from ntil.data.dataset import collate
from ntil.evaluation.constrain import AnswerConstraint
from ntil.models.adapters import Adapter
from ntil.models.load import logit_width


class Generated(NamedTuple):
    """An answer: its text, its tokens' texts and their probabilities under greedy decoding, before any constraint."""

    text: str
    tokens: list[str]
    probabilities: list[float]


class Question(NamedTuple):
    prompt: str
    image: Image.Image | None


@torch.no_grad()
def generate(
    model: PreTrainedModel,
    adapter: Adapter,
    questions: Sequence[Question],
    max_new_tokens: int,
    pattern: str | None = None,
) -> list[Generated]:
    """Answer one batch. The model's mode is restored afterwards.

    pattern: a regular expression; only answers that match it can be written (up to `max_new_tokens`).
    """
    was_training = model.training
    model.eval()
    rows = [adapter.encode(question.prompt, question.image, None) for question in questions]
    batch = {name: value.to(model.device) for name, value in collate(rows, adapter.pad_token_id).items()}
    asked = batch["input_ids"].shape[1]
    options: dict[str, Any] = {}
    if pattern is not None:
        constraint = AnswerConstraint(adapter, pattern, asked, logit_width(model))
        options["logits_processor"] = LogitsProcessorList([constraint])
    if adapter.stop_text is not None:
        options["stopping_criteria"] = StoppingCriteriaList([_StopText(adapter, asked)])
    output = model.generate(
        **batch,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
        pad_token_id=adapter.pad_token_id,
        eos_token_id=list(adapter.stop_ids),
        **options,
    )
    model.train(was_training)
    new = output.sequences[:, asked:].cpu()
    logits = torch.stack(output.logits, dim=1).float().cpu()  # [B, new, V]
    probabilities = logits.softmax(-1).gather(-1, new.unsqueeze(-1)).squeeze(-1)
    answers = []
    for ids, row in zip(new, probabilities, strict=True):
        written = adapter.written(ids)
        tokens = [adapter.tokenizer.decode([token]) for token in written]
        answers.append(
            Generated(adapter.decode(ids), tokens, [round(float(p), 4) for p in row[: len(written)]])
        )
    return answers


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
