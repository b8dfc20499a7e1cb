"""A whole training step of a Qwen2-VL-shaped model: full logits against supervised positions only.

    python -m experiments.bench_step            → results/bench_step.csv

The model has Qwen2-VL's own classes and vocabulary (151,936) at toy width and depth; a row has 400 positions, of which the
last 8 are an answer. "full logits" projects every position, as a stock training loop does; "supervised positions only" asks
the model for the last 9 (`logits_to_keep`), as our training loop does. Contestants take turns in one process; memory
is the peak beyond the model and its inputs, each in a process of its own.
"""

import argparse
import csv
import datetime
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ntil
from experiments.bench import reset_peak, resident, texts
from experiments.command import guard
from ntil.io import atomic_open

VOCABULARY, POSITIONS, ANSWER = 151_936, 400, 8
WAYS = ("full logits", "supervised positions only")
Step = Callable[[], dict[str, Tensor | None]]  # → the gradient of each parameter


def step(way: str, hidden: int, batch: int) -> Step:
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


def time_all(hidden: int, batch: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of each way in each turn, after one turn to warm up."""
    steps = {way: step(way, hidden, batch) for way in WAYS}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(repeats + 1):
        for way, run in steps.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[way].append(time.perf_counter() - start)
    return seconds


def peak_memory(way: str, hidden: int, batch: int) -> float:
    """MB of one step beyond the model and its inputs, the parameters' gradients included, in a process of its own."""
    asked = json.dumps({"way": way, "hidden": hidden, "batch": batch})
    command = [sys.executable, "-m", "experiments.bench_step", "--measure-memory", asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {way} failed:\n{done.stderr}")
    return float(done.stdout)


def _measure_memory(asked: dict[str, Any]) -> float:
    torch.set_num_threads(1)
    run = step(**asked)
    before = resident()
    reset_peak()
    run()
    return resident(peak=True) - before


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m experiments.bench_step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--hidden", type=int, default=128, help="width of the model (128)")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("results/bench_step.csv"))
    parser.add_argument("--measure-memory", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure_memory:
        print(_measure_memory(options.measure_memory))
        return 0
    return guard(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    torch.set_num_threads(1)
    seconds = time_all(options.hidden, options.batch, options.repeats)
    memory = {way: peak_memory(way, options.hidden, options.batch) for way in WAYS}
    rows = []
    for way, values in seconds.items():
        ratios = [ours / full for ours, full in zip(values, seconds[WAYS[0]], strict=True)]
        rows.append(
            {
                "positions": POSITIONS,
                "supervised": ANSWER,
                "vocabulary": VOCABULARY,
                "batch": options.batch,
                "hidden": options.hidden,
                "way": way,
                "milliseconds": round(1e3 * statistics.median(values), 1),
                "ratio": round(statistics.median(ratios), 3),
                "peak_mb": round(memory[way], 1),
                "memory_ratio": round(memory[way] / memory[WAYS[0]], 3),
                "repeats": len(values),
                "torch": torch.__version__,
                "date": datetime.date.today().isoformat(),
            }
        )
    with atomic_open(options.out) as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(
            f"{row['way']}: {row['milliseconds']} ms (× {row['ratio']}), {row['peak_mb']} MB (× {row['memory_ratio']})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
