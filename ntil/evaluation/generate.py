"""Greedy answers for a batch of questions, with the probability of each token written."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from PIL import Image
from transformers import PreTrainedModel

from ntil.data.dataset import collate
from ntil.models.adapters import Adapter, until_end


class Generated(NamedTuple):
    """An answer: its text, its tokens' texts and their probabilities under greedy decoding."""

    text: str
    tokens: list[str]
    probabilities: list[float]


class Question(NamedTuple):
    prompt: str
    image: Image.Image | None


@torch.no_grad()
def generate(
    model: PreTrainedModel, adapter: Adapter, questions: Sequence[Question], max_new_tokens: int
) -> list[Generated]:
    """Answer one batch. The model's mode is restored afterwards."""
    was_training = model.training
    model.eval()
    rows = [adapter.encode(question.prompt, question.image, None) for question in questions]
    batch = {name: value.to(model.device) for name, value in collate(rows, adapter.pad_token_id).items()}
    output = model.generate(
        **batch,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
        pad_token_id=adapter.pad_token_id,
        eos_token_id=adapter.eos_token_id,
    )
    model.train(was_training)
    new = output.sequences[:, batch["input_ids"].shape[1] :].cpu()
    logits = torch.stack(output.logits, dim=1).float().cpu()  # [B, new, V]
    probabilities = logits.softmax(-1).gather(-1, new.unsqueeze(-1)).squeeze(-1)
    answers = []
    for ids, row in zip(new, probabilities, strict=True):
        written = until_end(ids, adapter.eos_token_id)
        tokens = [adapter.tokenizer.decode([token]) for token in written]
        answers.append(
            Generated(adapter.decode(ids), tokens, [round(float(p), 4) for p in row[: len(written)]])
        )
    return answers


def batches(count: int, size: int) -> Iterator[range]:
    """0 … count−1 in ranges of at most `size`."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))
