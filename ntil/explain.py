"""What every loss says about predictions of one number: a table and a picture."""

import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import torch
from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ntil import losses
from ntil.errors import UserError
from ntil.io import atomic_open
from ntil.losses import CrossEntropy, NumberLoss
from ntil.numbers import NumberVocab

CHARACTERS = [*"0123456789.-+,: e%()/"]
MAX_DIGITS = 4  # the picture shows all 10^digits predictions
CHUNK = 2**24  # logits made at a time

Encode = Callable[[str], list[int]]


def line_up(vocab: NumberVocab) -> dict[str, NumberLoss]:
    """Every loss with its defaults, without noise, by the name that the table shows."""
    return {
        "NTIL": losses.NTIL(vocab, noise_scale=0.0),
        "NTIL decimal": losses.NTIL(vocab, noise_scale=0.0, number_format="decimal"),
        "EMD": losses.EMD(vocab),
        "NTL-WAS": losses.NTLWAS(vocab),
        "NTL-MSE": losses.NTLMSE(vocab),
        "NTL number": losses.NTLNumber(vocab),
        "Gaussian CE": losses.GaussianCE(vocab),
        "DIST2": losses.DIST2(vocab),
        "SMMD": losses.SMMD(vocab),
        "DEL": losses.DEL(vocab),
    }


def run(target: str, predictions: Sequence[str], tokenizer: Path | None, sure: float, png: Path) -> None:
    """Print the table and write the picture."""
    if not 0 < sure < 1:
        raise UserError(f"--sure is a probability between 0 and 1, not {sure}.")
    vocab, encode = _characters() if tokenizer is None else _load(tokenizer)
    label = encode(target)
    contestants = line_up(vocab)
    if not bool(contestants["NTIL"].spans(torch.tensor([label])).is_number.any()):
        raise UserError(f"the target {target!r} holds no number token.")
    written = []
    for prediction in [target, *(p for p in predictions if p != target)]:
        ids = encode(prediction)
        if len(ids) != len(label):
            raise UserError(
                f"{prediction!r} takes {len(ids)} tokens and the target {target!r} {len(label)}. These losses compare "
                "token by token with the target given so far; pad with zeros, or write as many digits."
            )
        written.append((prediction, ids))
    rows = {p: _evaluate(contestants, [ids], label, vocab.size, sure) for p, ids in written}
    console = Console()
    console.print(_terms(target, rows))
    console.print(_totals(target, rows))
    console.print(_reading(rows, target))
    if _draw(contestants, target, label, encode, dict(written), vocab.size, sure, png):
        console.print(f"drawn to {png}")


def _characters() -> tuple[NumberVocab, Encode]:
    def encode(text: str) -> list[int]:
        if strange := [c for c in text if c not in CHARACTERS]:
            raise UserError(
                f"{text!r} holds {strange[0]!r}; write digits and {''.join(CHARACTERS[10:])}, or pass --tokenizer."
            )
        return [CHARACTERS.index(c) for c in text]

    return NumberVocab.from_texts(CHARACTERS), encode


def _load(path: Path) -> tuple[NumberVocab, Encode]:
    from tokenizers import Tokenizer

    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.exists():
        raise UserError(f"{file} does not exist.")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # noqa: BLE001 - the library raises bare Exceptions
        raise UserError(f"{file} is not a tokenizer.json: {error}") from None
    vocab = NumberVocab.from_tokenizer(tokenizer)
    return vocab, lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


def _logits(written: Tensor, size: int, sure: float) -> Tensor:
    """[P, T, V] logits with probability `sure` at the written tokens [P, T] and the rest spread evenly."""
    logits = torch.zeros(*written.shape, size, dtype=torch.float64)
    return logits.scatter_(-1, written.unsqueeze(-1), math.log(sure / (1 - sure) * (size - 1)))


def _evaluate(
    contestants: dict[str, NumberLoss], written: list[list[int]], label: list[int], size: int, sure: float
) -> dict[str, Any]:
    """Parts of each loss on one prediction; "CE" has its total alone."""
    logits, labels = _logits(torch.tensor(written), size, sure), torch.tensor([label])
    return {
        "CE": CrossEntropy().parts(logits, labels),
        **{n: loss(logits, labels) for n, loss in contestants.items()},
    }


def _terms(target: str, rows: dict[str, dict[str, Any]]) -> Table:
    table = Table(title=f"NTIL term by term, truth {target}", title_justify="left")
    for heading in ("prediction", "format", "digit EMD", "relative", "magnitude", "NTIL"):
        table.add_column(heading, justify="left" if heading in ("prediction", "format") else "right")
    for (prediction, parts), name in itertools.product(rows.items(), ("NTIL", "NTIL decimal")):
        found = parts[name]
        values = (found.emd, found.relative, found.magnitude, found.total)
        table.add_row(
            prediction, "decimal" if "decimal" in name else "digits", *(f"{float(v):.3f}" for v in values)
        )
    return table


def _totals(target: str, rows: dict[str, dict[str, Any]]) -> Table:
    names = list(next(iter(rows.values())))
    table = Table("loss", title=f"Every loss, truth {target}", title_justify="left")
    for prediction in rows:
        table.add_column(prediction, justify="right")
    for name in names:
        table.add_row(name, *(f"{float(parts[name].total):.3f}" for parts in rows.values()))
    return table


def _reading(rows: dict[str, dict[str, Any]], target: str) -> str:
    """A sentence on what cross-entropy cannot see."""
    wrong = [p for p in rows if p != target]
    if len(wrong) < 2 or not all(re.fullmatch(r"[0-9]+(\.[0-9]+)?", p) for p in [target, *wrong]):
        return ""
    near = sorted(wrong, key=lambda p: abs(float(p) - float(target)))
    lines = [f"By value, {near[0]} is nearest to {target}. Losses that score it lowest of the wrong ones:"]
    best = [n for n in rows[target] if min(wrong, key=lambda p, n=n: float(rows[p][n].total)) == near[0]]
    tied = [
        n
        for n in best
        if sum(float(rows[p][n].total) <= float(rows[near[0]][n].total) + 1e-9 for p in wrong) > 1
    ]
    lines.append("  " + (", ".join(n for n in best if n not in tied) or "none"))
    return "\n".join(lines)


def _draw(
    contestants: dict[str, NumberLoss],
    target: str,
    label: list[int],
    encode: Encode,
    marked: dict[str, list[int]],
    size: int,
    sure: float,
    png: Path,
) -> bool:
    """A panel for each loss over all predictions of the target's length; False where there are too many."""
    digits = sum(c.isdigit() for c in target)
    if digits > MAX_DIGITS or not re.fullmatch(r"[0-9.]+", target):
        return False
    texts = [text for text in _same_shape(target) if len(encode(text)) == len(label)]
    values = [float(text) for text in texts]
    curves = _curves(contestants, [encode(text) for text in texts], label, size, sure)
    figure, axes = plt.subplots(3, 4, figsize=(12, 7), layout="constrained", sharex=True)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (name, curve) in zip(axes.flat, curves.items(), strict=False):
        axis.axis("on")
        axis.plot(values, curve, color="#33658a", lw=1)
        axis.axvline(float(target), color="#00795a", lw=1, ls=":")
        for prediction in marked:
            if prediction in texts:
                at = texts.index(prediction)
                axis.plot(
                    values[at], curve[at], "o", ms=4, color="#00795a" if prediction == target else "#b34700"
                )
                axis.annotate(
                    prediction, (values[at], curve[at]), xytext=(3, 3), textcoords="offset points", fontsize=7
                )
        axis.set_title(name, fontsize=10, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7)
    figure.suptitle(
        f"Each loss over all predictions, truth {target}; the x axis is the predicted value", fontsize=11
    )
    with atomic_open(png, "wb") as file:
        figure.savefig(file, format="png", dpi=110)
    plt.close(figure)
    return True


def _same_shape(target: str) -> Iterator[str]:
    """Every text with digits where the target has digits."""
    for digits in itertools.product("0123456789", repeat=sum(c.isdigit() for c in target)):
        rest = iter(digits)
        yield "".join(next(rest) if c.isdigit() else c for c in target)


def _curves(
    contestants: dict[str, NumberLoss], written: list[list[int]], label: list[int], size: int, sure: float
) -> dict[str, list[float]]:
    """Each loss for each prediction alone, the mean of a batch of one."""
    curves: dict[str, list[float]] = {name: [] for name in ("CE", *contestants)}
    for ids in written:
        for name, parts in _evaluate(contestants, [ids], label, size, sure).items():
            curves[name].append(float(parts.total))
    return curves
