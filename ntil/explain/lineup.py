"""The losses that are explained: cross-entropy and every number loss that a module of `ntil.losses` defines."""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from torch import Tensor

from ntil import losses
from ntil.losses import CrossEntropy, LossParts, NumberLoss
from ntil.losses.discover import number_losses
from ntil.numbers import NumberVocab
from ntil.numbers.spans import NumberFormat

CE = "cross-entropy"
LONGEST_NAME = 24  # characters
_ARXIV = re.compile(r", arXiv [0-9.]+(?=\))|`")
TERMS = {
    ("emd", "digits"): ("digit EMD", "steps each digit is off, on average; leading digits weigh more"),
    ("emd", "decimal"): ("number EMD", "how far the whole number is off, in units of its leading digit"),
    ("relative", ""): ("relative", "error ÷ (the larger number + 1): from 0 to 1"),
    ("magnitude", ""): ("magnitude", "log of (the larger + 1) ÷ (the smaller + 1): how many times too much"),
}


@dataclass(frozen=True)
class Contestant:
    """A loss under the name that table and picture show."""

    name: str
    about: str  # one sentence for the newcomer
    parts: Callable[[Tensor, Tensor], LossParts]  # logits [B, T, V], labels [B, T]
    of_samples: Callable[
        [Tensor, Tensor], Tensor
    ]  # the same → [B] totals, each as if it were a batch of its own
    number_format: NumberFormat = "digits"
    formula: str = ""  # how the total is made of several terms

    def term(self, key: str) -> tuple[str, str]:
        """(name, one sentence) of a term."""
        return TERMS.get((key, self.number_format)) or TERMS.get((key, "")) or (key, "")


def line_up(vocab: NumberVocab, has_point: bool, has_wide: bool) -> list[Contestant]:
    """Every loss with its defaults, without noise: cross-entropy, NTIL, EMD, then the others in alphabetical order.

    has_point: the target is a decimal, so losses with a number format are shown in both; NTIL always is.
    has_wide: it holds tokens of several digits, so losses that look at one-digit tokens alone are told to take all.
    """
    ce, about = CrossEntropy(), "how unexpected each token is; which wrong one it is plays no part"
    found = [Contestant(CE, about, ce.parts, ce.of_samples)]
    every = number_losses()
    for name in sorted(every, key=lambda name: (name != "NTIL", name != "EMD", name.lower())):
        found += _variants(every[name], vocab, has_point or name == "NTIL", has_wide)
    return found


def _variants(
    cls: type[NumberLoss], vocab: NumberVocab, both_formats: bool, has_wide: bool
) -> Iterator[Contestant]:
    """The loss as published, which its defaults are, then in the other number format."""
    options = inspect.signature(cls).parameters
    extra: dict[str, Any] = {"noise_scale": 0.0} if "noise_scale" in options else {}
    name, about = _name(cls)
    if has_wide and "tokens" in options and options["tokens"].default == "digits":
        extra["tokens"] = "all"
        about = f"{about}; here on tokens of any width (ours)"
    default: NumberFormat = options["number_format"].default if "number_format" in options else "digits"
    others = (
        [f for f in get_args(NumberFormat) if f != default]
        if "number_format" in options and both_formats
        else []
    )
    yield _contestant(cls(vocab, **extra), name, about, default)
    for number_format in others:
        loss = cls(vocab, number_format=number_format, **extra)
        reading = "a decimal is one number" if number_format == "decimal" else "a point ends a number"
        yield _contestant(loss, f"{name} {number_format}", f"{name} where {reading} (ours)", number_format)


def _contestant(loss: NumberLoss, name: str, about: str, number_format: NumberFormat) -> Contestant:
    formula = ""
    if isinstance(loss, losses.NTIL):
        formula = f"{loss.gamma:g}·EMD + {loss.alpha:g}·relative + {loss.beta:g}·magnitude"
    return Contestant(name, about, loss, loss.of_samples, number_format, formula)


def _name(cls: type[NumberLoss]) -> tuple[str, str]:
    """("NTL-WAS", "Wasserstein-1 distance …") from the first line of a loss's module, which reads "Name: sentence."; where
    it does not, the class's name and the first line that describes it."""
    first = _first_line(sys.modules[cls.__module__])
    name, colon, about = first.partition(": ")
    modules = [other.__module__ for other in number_losses().values()]
    if colon and len(name) <= LONGEST_NAME and modules.count(cls.__module__) == 1:
        return name.replace("cross-entropy", "CE"), _ARXIV.sub("", about)
    return cls.__name__, _first_line(cls)


def _first_line(item: object) -> str:
    return (item.__doc__ or "").strip().partition("\n")[0].rstrip(".")
