"""Both ways of the step benchmark do the same work."""

import csv
from pathlib import Path

import torch

from experiments.bench_step import WAYS, step


def test_supervised_positions_only_give_the_same_gradients() -> None:
    full, kept = (step(way, hidden=32, batch=1)() for way in WAYS)
    assert full.keys() == kept.keys()
    for name, gradient in full.items():
        if gradient is None or kept[name] is None:
            assert gradient is kept[name] is None, name
        else:
            torch.testing.assert_close(gradient, kept[name], rtol=1e-4, atol=1e-6)


def test_the_readme_quotes_the_rows() -> None:
    root = Path(__file__).parents[2]
    with (root / "results" / "bench_step.csv").open(encoding="utf-8") as file:
        (_, kept) = csv.DictReader(file)
    text = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    assert (
        f"{float(kept['ratio']):.2f} of the time and {float(kept['memory_ratio']):.2f} of the memory" in text
    )
