"""The share of a training step that the loss takes, forward and backward → results/bench_share.csv.

The model has SmolLM2-135M's shape with random weights (the time does not depend on them), all of them trained with AdamW, its
forward in bf16 autocast as `trainer=finetune` has it. A row is a sum such as `12+34=` with its answer, bare or in the chat
markup; only supervised positions reach the vocabulary projection. Seconds are the process's own, on one thread, so that
others on the machine do not count; `ratio` is the loss's part of its own step.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import ntil
from experiments.bench.measure import made_by, take_turns, time_cells
from experiments.bench.timed import BASELINE, FIRST_DIGIT, FUSED, texts

SHAPE = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}
BATCH, ANSWER = 16, 4  # rows; supervised tokens of each: three digits and the end
PROMPTS = {"bare sum": 10, "chat markup": 43}  # tokens of a row
COMPARED = (BASELINE, "CE + EMD", FUSED)
Loss = Callable[[Tensor, Tensor], Tensor]


class Step:
    """A model, its optimizer and a batch; `run` makes one step and keeps what the loss and the whole of it took."""

    def __init__(self, tokens: int, shape: dict[str, Any] = SHAPE, batch: int = BATCH) -> None:
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(0)
        self.model = LlamaForCausalLM(LlamaConfig(**shape))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, fused=True)
        self.ids = torch.randint(FIRST_DIGIT, FIRST_DIGIT + 10, (batch, tokens))
        self.ids[:, -1] = FIRST_DIGIT + 50  # a word: the end of the answer
        self.whole: dict[str, list[float]] = {}  # loss → seconds of each step

    def run(self, name: str, loss: Loss) -> float:
        """Seconds of the loss in one step with it."""
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16):
            written: Tensor = self.model(input_ids=self.ids, logits_to_keep=ANSWER + 1).logits[:, :-1]
        logits = written.detach().requires_grad_()
        before = time.process_time()
        loss(logits, self.ids[:, -ANSWER:]).backward()
        seconds = time.process_time() - before
        written.backward(logits.grad)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.whole.setdefault(name, []).append(time.process_time() - start)
        return seconds


def timed_losses(vocabulary: int) -> dict[str, Loss]:
    """Cross-entropy alone, and with the number losses as training has them."""
    vocab = ntil.NumberVocab.from_texts(texts(vocabulary))
    alone: Loss = lambda logits, labels: F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())  # noqa: E731
    both = (ntil.WithCrossEntropy(number(vocab)) for number in (ntil.EMD, ntil.NTIL))
    return dict(zip(COMPARED, (alone, *both), strict=True))


def measure(repeats: int, tick: Callable[[], None]) -> list[dict[str, Any]]:
    """A row for each prompt and loss."""
    torch.set_num_threads(1)
    rows = []
    losses = timed_losses(SHAPE["vocab_size"])
    for prompt, tokens in PROMPTS.items():
        step = Step(tokens)
        jobs = {name: lambda name=name, step=step: step.run(name, losses[name]) for name in losses}
        seconds = take_turns(jobs, repeats, tick)
        for name in losses:
            whole = step.whole[name][1:]  # without the turn to warm up
            cells = time_cells(seconds[name], whole)
            rows.append(
                {
                    "model": "SmolLM2-135M",
                    "prompt": prompt,
                    "batch": BATCH,
                    "tokens": tokens,
                    "supervised": ANSWER,
                    "loss": name,
                    **cells,
                    "step_milliseconds": time_cells(whole, whole)["milliseconds"],
                    **made_by(repeats),
                }
            )
    return rows


def turns(repeats: int) -> int:
    return len(PROMPTS) * len(COMPARED) * (repeats + 1)
