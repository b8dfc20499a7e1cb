"""Time and memory of the losses, forward and backward, against F.cross_entropy and `ntloss`.

    python -m experiments.bench                                   the README's shapes → results/bench.csv
    python -m experiments.bench --shapes 8x256x32000 --threads 1  one shape

All contestants of a setting take turns in one process (A B C A B C …), and each ratio is to F.cross_entropy in the same
turn; the median of the ratios is what to quote. Memory is the peak beyond the inputs of one forward and backward, each
measured in a process of its own.
"""

import argparse
import csv
import datetime
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor

import ntil
from experiments.command import guard
from ntil.errors import UserError
from ntil.io import atomic_open

FIRST_DIGIT = 100  # id of "0" in the bench's vocabulary
BASELINE = "F.cross_entropy"
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Setting:
    """One line-up: logits [batch, tokens, vocabulary] with this share of digits among the labels."""

    batch: int
    tokens: int
    vocabulary: int
    digit_share: float
    dtype: str
    threads: int

    def inputs(self, device: str) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(1000, self.vocabulary, (self.batch, self.tokens), generator=generator)
        digits = torch.rand(labels.shape, generator=generator) < self.digit_share
        values = torch.randint(FIRST_DIGIT, FIRST_DIGIT + 10, labels.shape, generator=generator)
        logits = torch.randn(self.batch, self.tokens, self.vocabulary, generator=generator)
        labels = torch.where(digits, values, labels)
        return logits.to(device, getattr(torch, self.dtype)), labels.to(device)


def texts(size: int) -> list[str]:
    """A vocabulary with one-character digits and a point."""
    names = [f"w{i}" for i in range(size)]
    names[FIRST_DIGIT : FIRST_DIGIT + 11] = [*"0123456789."]
    return names


def contestants(setting: Setting) -> dict[str, Loss]:
    """Name → loss; `ntloss` where it is installed."""
    vocab = ntil.NumberVocab.from_texts(texts(setting.vocabulary))
    number = {
        "EMD": ntil.EMD(vocab),
        "NTIL": ntil.NTIL(vocab),
        "NTIL decimal": ntil.NTIL(vocab, number_format="decimal"),
    }
    lineup: dict[str, Loss] = {BASELINE: _cross_entropy}
    lineup |= {name: lambda z, y, loss=loss: loss(z, y).total for name, loss in number.items()}
    lineup["CE + NTIL"] = ntil.WithCrossEntropy(number["NTIL"])
    lineup["CE + NTIL, logits overwritten"] = ntil.WithCrossEntropy(number["NTIL"], overwrite_logits=True)
    lineup["CE + NTIL, not fused"] = ntil.WithCrossEntropy(number["NTIL"], fused=False)
    if (rival := _ntloss(setting.vocabulary)) is not None:
        lineup["ntloss"] = rival
        lineup["F.cross_entropy + 0.3 ntloss"] = lambda z, y: _cross_entropy(z, y) + 0.3 * rival(z, y)
    return lineup


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def _ntloss(size: int) -> Loss | None:
    try:
        from ntloss import NTLoss
    except ImportError:
        return None
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({text: i for i, text in enumerate(texts(size))}, unk_token="w0"))
    return NTLoss(PreTrainedTokenizerFast(tokenizer_object=words), vocab_size=size)


def once(loss: Loss, logits: Tensor, labels: Tensor) -> float:
    """Seconds of one forward and backward."""
    logits.requires_grad_()
    _wait(logits)
    start = time.perf_counter()
    loss(logits, labels).backward()
    _wait(logits)
    return time.perf_counter() - start


def _wait(tensor: Tensor) -> None:
    if tensor.device.type == "cuda":
        torch.cuda.synchronize()


def time_all(setting: Setting, repeats: int, device: str, tick: Callable[[], None]) -> dict[str, list[float]]:
    """Seconds of each contestant in each turn, after one turn to warm up."""
    torch.set_num_threads(setting.threads)
    base, labels = setting.inputs(device)
    lineup = contestants(setting)
    seconds: dict[str, list[float]] = {name: [] for name in lineup}
    for turn in range(repeats + 1):
        for name, loss in lineup.items():
            logits = base.clone() if "overwritten" in name else base.detach()
            elapsed = once(loss, logits, labels)
            if turn:
                seconds[name].append(elapsed)
            del logits  # and with it the gradient
            tick()
    return seconds


def peak_memory(setting: Setting, name: str, device: str) -> float:
    """MB that one forward and backward takes beyond its inputs, in a process of its own."""
    asked = json.dumps({"setting": asdict(setting), "name": name, "device": device})
    done = subprocess.run(
        [sys.executable, "-m", "experiments.bench", "--measure-memory", asked],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {name} failed:\n{done.stderr}")
    return float(done.stdout)


def _measure_memory(asked: dict[str, Any]) -> float:
    setting = Setting(**asked["setting"])
    torch.set_num_threads(setting.threads)
    loss = contestants(setting)[asked["name"]]
    # The allocator and the kernels warm up on another, small batch.
    small = Setting(1, 8, setting.vocabulary, 0.5, setting.dtype, setting.threads)
    once(loss, *small.inputs(asked["device"]))
    logits, labels = setting.inputs(asked["device"])
    if asked["device"] == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        once(loss, logits, labels)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    reset_peak()
    before = resident()
    once(loss, logits, labels)
    return resident(peak=True) - before


def reset_peak() -> None:
    """Start a new peak of this process's resident set (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def resident(peak: bool = False) -> float:
    """MB of this process in memory now, or at most since `reset_peak`."""
    field = "VmHWM" if peak else "VmRSS"
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{field}:"))) / 1024


def rows(
    setting: Setting, seconds: dict[str, list[float]], memory: dict[str, float], device: str
) -> Iterator[dict[str, Any]]:
    """The lines of bench.csv for one setting."""
    for name, values in seconds.items():
        ratios = [ours / theirs for ours, theirs in zip(values, seconds[BASELINE], strict=True)]
        yield {
            **asdict(setting),
            "loss": name,
            "milliseconds": round(1e3 * statistics.median(values), 2),
            "ratio": round(statistics.median(ratios), 3),
            "ratio_low": round(min(ratios), 3),
            "ratio_high": round(max(ratios), 3),
            "peak_mb": round(memory[name], 1) if name in memory else "",
            "memory_ratio": round(memory[name] / memory[BASELINE], 3) if name in memory else "",
            "repeats": len(values),
            "device": device,
            "torch": torch.__version__,
            "ntloss": version("ntloss") if "ntloss" in seconds else "",
            "date": datetime.date.today().isoformat(),
        }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m experiments.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--shapes", nargs="+", default=["8x256x32000", "4x512x32000", "4x256x151936"], metavar="BxTxV"
    )
    parser.add_argument("--digit-shares", nargs="+", type=float, default=[0.01, 0.24, 0.5])
    parser.add_argument(
        "--dtypes", nargs="+", default=["float32"], choices=["float32", "bfloat16", "float16"]
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-memory", action="store_true", help="time only")
    parser.add_argument("--out", type=Path, default=Path("results/bench.csv"))
    parser.add_argument("--measure-memory", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure_memory:
        print(_measure_memory(options.measure_memory))
        return 0
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    settings = [
        Setting(*shape, share, dtype, threads)
        for shape, share, dtype, threads in itertools.product(
            map(_shape, options.shapes), options.digit_shares, options.dtypes, options.threads
        )
    ]
    return guard(lambda: _run(settings, options))


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) for part in parts) or int(parts[2]) < 1001:
        raise UserError(f"a shape is BxTxV such as 8x256x32000, with V above 1000; not {text!r}.")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _run(settings: list[Setting], options: argparse.Namespace) -> int:
    found: list[dict[str, Any]] = []
    # Memory does not depend on the share of digits: once a shape is enough.
    measured: dict[Setting, dict[str, float]] = {}
    console = Console(stderr=True)
    with Progress(console=console) as progress:
        for setting in settings:
            names = list(contestants(setting))
            bar = progress.add_task(_title(setting), total=len(names) * (options.repeats + 1))
            seconds = time_all(setting, options.repeats, options.device, lambda b=bar: progress.advance(b))
            shape = replace(setting, digit_share=0.0, threads=0)
            if shape not in measured:
                can = options.device == "cuda" or Path("/proc/self/clear_refs").exists()
                wanted = names if can and not options.no_memory else []
                measured[shape] = {name: peak_memory(setting, name, options.device) for name in wanted}
            found += rows(setting, seconds, measured[shape], options.device)
            with atomic_open(options.out) as file:
                writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(found)
    _print(found)
    return 0


def _title(setting: Setting) -> str:
    shape = f"B={setting.batch} T={setting.tokens} V={setting.vocabulary}"
    return f"{shape}, {setting.digit_share:.0%} digits, {setting.dtype}, {setting.threads} threads"


def _print(found: list[dict[str, Any]]) -> None:
    for title, group in itertools.groupby(found, lambda row: _title(Setting(*list(row.values())[:6]))):
        table = Table("loss", "ms", "× CE (lowest – highest)", "peak MB", "× CE", title=title)
        for row in group:
            spread = f"{row['ratio']} ({row['ratio_low']} – {row['ratio_high']})"
            table.add_row(
                *map(str, (row["loss"], row["milliseconds"], spread, row["peak_mb"], row["memory_ratio"]))
            )
        Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
