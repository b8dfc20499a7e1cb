"""Time and memory of the losses, forward and backward.

    python -m experiments.bench                                   everything → results/bench*.csv and a figure
    python -m experiments.bench losses --shapes 8x256x32000       every loss on one shape
    python -m experiments.bench scaling                           what doubling B, T or the digits costs
    python -m experiments.bench linear                            from hidden states, without full logits
    python -m experiments.bench step                              a whole training step, supervised positions only
    python -m experiments.bench share                             what part of a training step the loss is
    python -m experiments.bench figure                            the figure again from results/bench.csv

Contestants take turns in one process, and each ratio is to the baseline in the same turn; its median is what to quote.
Memory is the peak beyond the inputs, each contestant in a process of its own.
"""

import argparse
import itertools
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from experiments.bench import figure, linear, losses, scaling, share, step
from experiments.bench.measure import write_rows
from experiments.bench.timed import Workload
from experiments.command import parser_of
from ntil.errors import UserError, guard, run_command

PARTS = ("losses", "scaling", "linear", "step", "share", "figure")
DTYPES = ("float32", "bfloat16", "float16")


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of("bench", __doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)} (default: all)")
    chosen = parser.add_argument_group("losses", "one or more of these replace the usual settings")
    chosen.add_argument("--shapes", nargs="+", metavar="BxTxV")
    chosen.add_argument("--digit-shares", nargs="+", type=float, metavar="SHARE")
    chosen.add_argument("--dtypes", nargs="+", choices=DTYPES)
    chosen.add_argument("--threads", nargs="+", type=int)
    chosen.add_argument("--no-memory", action="store_true", help="time only")
    chosen.add_argument("--no-loops", action="store_true", help="without the tests' slow oracle")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where to write")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return guard(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    if unknown := [part for part in options.parts if part not in PARTS]:
        raise UserError(f"there is no part {unknown[0]!r}; it is one of {', '.join(PARTS)}.")
    if options.repeats < 1:
        raise UserError(f"--repeats {options.repeats} measures nothing; use at least 1.")
    wanted = options.parts or PARTS
    folder, repeats, device = options.results, options.repeats, options.device
    if "losses" in wanted:
        weigh, loops = not options.no_memory, not options.no_loops
        losses.show(losses.measure(settings(options), repeats, device, folder / "bench.csv", weigh, loops))
    if "scaling" in wanted:
        _with_bar(
            scaling.turns(repeats), partial(scaling.measure, repeats, device), folder / "bench_scaling.csv"
        )
    if "linear" in wanted:
        _with_bar(
            linear.turns(repeats), partial(linear.measure, repeats, device), folder / "bench_linear.csv"
        )
    if "step" in wanted:
        _with_bar(step.turns(repeats), partial(step.measure, repeats), folder / "bench_step.csv")
    if "share" in wanted:
        _with_bar(share.turns(repeats), partial(share.measure, repeats), folder / "bench_share.csv")
    if "figure" in wanted:
        for path in figure.draw(folder):
            print(path)
    return 0


def settings(options: argparse.Namespace) -> list[Workload]:
    """The usual settings, or the product of those given."""
    if not (options.shapes or options.digit_shares or options.dtypes or options.threads):
        return list(losses.SETTINGS)
    shapes = [_shape(text) for text in options.shapes] if options.shapes else losses.SHAPES
    product = itertools.product(
        shapes, options.digit_shares or losses.SHARES, options.dtypes or ["float32"], options.threads or [1]
    )
    return [Workload(*shape, share, dtype, threads) for shape, share, dtype, threads in product]


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) for part in parts) or int(parts[2]) < 1001:
        raise UserError(f"a shape is BxTxV such as 8x256x32000, with V above 1000; not {text!r}.")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _with_bar(total: int, measure: Callable[[Callable[[], None]], list[dict[str, Any]]], out: Path) -> None:
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task(out.stem, total=total)
        rows = measure(lambda: progress.advance(bar))
    write_rows(out, rows)
    for row in rows:
        name = " · ".join(str(row[key]) for key in ("prompt", "loss", "variant", "way") if key in row)
        memory = f", {row['peak_mb']} MB (× {row['memory_ratio']})" if row.get("peak_mb") else ""
        print(f"{name}: {row['milliseconds']} ms (× {row['ratio']}){memory}")


if __name__ == "__main__":
    run_command(main)
