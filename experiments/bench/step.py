"""A whole training step of a Qwen2-VL-shaped model: full logits against supervised positions only → results/bench_step.csv.

The model has Qwen2-VL's own classes and vocabulary (151,936) at toy width and depth; a row has 400 positions, of which the
last 8 are an answer. "full logits" projects every position, as a stock training loop does; "supervised positions only" asks
the model for the last 9 (`logits_to_keep`), as our training loop does.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

import ntil
from experiments.bench.lineup import texts
from experiments.bench.measure import can_weigh, made_by, memory_cells, peak_memory, take_turns, time_cells

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
    torch.set_num_threads(1)
    seconds = take_turns({way: partial(_timed, step(way)) for way in WAYS}, repeats, tick)
    memory = {way: peak_memory(__name__, way=way) for way in WAYS if can_weigh("cpu")}
    return [
        {
            "positions": POSITIONS,
            "supervised": ANSWER,
            "vocabulary": VOCABULARY,
            "batch": BATCH,
            "hidden": HIDDEN,
            "way": way,
            **time_cells(seconds[way], seconds[WAYS[0]]),
            **memory_cells(memory.get(way), memory.get(WAYS[0])),
            **made_by(repeats),
        }
        for way in WAYS
    ]


def turns(repeats: int) -> int:
    return len(WAYS) * (repeats + 1)


def _timed(run: Step) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
