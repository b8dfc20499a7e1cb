"""A whole training step of a Qwen2-VL-shaped model: full logits against supervised positions only → results/bench_step.csv.

The model has Qwen2-VL's own classes and vocabulary (151,936) at toy width and depth; a row has 400 positions, of which the
last 8 are an answer. "full logits" projects every position, as a stock training loop does; "supervised positions only" asks
the model for the last 9 (`logits_to_keep`), as our training loop does.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import ntil
from experiments.bench.measure import compare_ways
from experiments.bench.timed import texts

VOCABULARY, POSITIONS, ANSWER = 151_936, 400, 8
BATCH, HIDDEN = 4, 128
WAYS = ("full logits", "supervised positions only")
Step = Callable[[], dict[str, Tensor | None]]  # → the gradient of each parameter


def step(way: str, hidden: int = HIDDEN, batch: int = BATCH) -> Step:
    """A forward and backward of CE + NTIL; the same model and batch for every way."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    torch.manual_seed(0)
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": hidden // 32,
        "num_key_value_heads": hidden // 32,
        "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]},
        "tie_word_embeddings": True,
    }
    vision = {"depth": 1, "embed_dim": 32, "num_heads": 1, "hidden_size": hidden}
    config = Qwen2VLConfig(text_config=sizes, vision_config=vision, tie_word_embeddings=True)
    model = Qwen2VLForConditionalGeneration(config)
    loss = ntil.WithCrossEntropy(ntil.NTIL(ntil.NumberVocab.from_texts(texts(VOCABULARY)), noise_scale=0.0))
    ids = torch.randint(1000, 150_000, (batch, POSITIONS), generator=torch.Generator().manual_seed(0))
    ids[:, -ANSWER:] = torch.tensor([101, 102, 110, 103, 104, 105, 2000, 2001])  # 1 2 . 3 4 5 and two words
    labels = ids.clone()
    labels[:, :-ANSWER] = -100

    def run() -> dict[str, Tensor | None]:
        model.zero_grad(set_to_none=True)
        keep = 0 if way == "full logits" else ANSWER + 1
        logits: Tensor = model(input_ids=ids, logits_to_keep=keep).logits
        shifted = labels[:, -logits.shape[1] :][:, 1:]
        loss(logits[:, :-1], shifted).backward()
        return {name: parameter.grad for name, parameter in model.named_parameters()}

    return run


def work(way: str, device: str) -> Callable[[], object]:
    """For `measure.peak_memory`: beyond the model and its inputs, the parameters' gradients included."""
    return step(way)


def measure(repeats: int, tick: Callable[[], None]) -> list[dict[str, Any]]:
    """A row for each way; ratios are to full logits."""
    shape = {"positions": POSITIONS, "supervised": ANSWER, "vocabulary": VOCABULARY}
    facts = {**shape, "batch": BATCH, "hidden": HIDDEN}
    return compare_ways(facts, __name__, {way: step(way) for way in WAYS}, repeats, tick)


def turns(repeats: int) -> int:
    return len(WAYS) * (repeats + 1)
