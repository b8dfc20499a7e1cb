"""From hidden states: the projection and the loss in chunks, against full logits → results/bench_linear.csv."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import ntil
from experiments.bench.measure import compare_ways
from experiments.bench.timed import FIRST_DIGIT, texts

TOKENS, VOCABULARY, HIDDEN = 1024, 151_936, 128
FULL = "projection, then F.cross_entropy + NTIL"
CHUNKED = "from_hidden"
WAYS = (FULL, "projection, then F.cross_entropy alone", "projection, then CE + NTIL fused", CHUNKED)


def step(
    way: str, device: str = "cpu", tokens: int = TOKENS, vocabulary: int = VOCABULARY, hidden: int = HIDDEN
) -> Callable[[], tuple[Tensor, Tensor]]:
    """A forward and backward; the gradients of the hidden states and of the weight."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(1, tokens, hidden, generator=generator).to(device).requires_grad_()
    weight = (torch.randn(vocabulary, hidden, generator=generator) * hidden**-0.5).to(device).requires_grad_()
    labels = torch.randint(1000, vocabulary, (1, tokens), generator=generator)
    digits = torch.rand(labels.shape, generator=generator) < 0.24
    values = torch.randint(FIRST_DIGIT, FIRST_DIGIT + 10, labels.shape, generator=generator)
    labels = torch.where(digits, values, labels).to(device)
    number = ntil.NTIL(ntil.NumberVocab.from_texts(texts(vocabulary)), noise_scale=0.0)
    loss = ntil.WithCrossEntropy(number, fused=way != FULL)

    def run() -> tuple[Tensor, Tensor]:
        if way == CHUNKED:
            total = loss.from_hidden(states, weight, labels)
        elif way == WAYS[1]:
            total = F.cross_entropy(F.linear(states, weight).flatten(0, 1), labels.flatten())
        else:
            total = loss(F.linear(states, weight), labels)
        of_states, of_weight = torch.autograd.grad(total, (states, weight))
        return of_states, of_weight

    return run


def work(way: str, device: str) -> Callable[[], object]:
    """For `measure.peak_memory`."""
    step(way, device, tokens=8)()  # the allocator and the kernels warm up
    return step(way, device)


def measure(repeats: int, device: str, tick: Callable[[], None]) -> list[dict[str, Any]]:
    """A row for each way; ratios are to full logits with both losses."""
    facts = {"tokens": TOKENS, "vocabulary": VOCABULARY, "hidden": HIDDEN}
    return compare_ways(facts, __name__, {way: step(way, device) for way in WAYS}, repeats, tick, device)


def turns(repeats: int) -> int:
    return len(WAYS) * (repeats + 1)
