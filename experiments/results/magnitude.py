"""How far off an answer is, in bins: for each task the error that its readers ask for first.

Most are binned from the items' scores, which results/scores/ holds for every run; wrong digits are counted from the
answers themselves, by `experiments.collect`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from experiments.results.csv_files import Row

WRONG_DIGITS = "wrong_digits"  # the kind of row in results/errors/
Error = Callable[
    [Row], float | None
]  # None: no answer to measure; KeyError or "" where the run has no such score


@dataclass(frozen=True)
class Magnitude:
    """An error and its bins, the best one first.

    edges: each bin's smallest value; they rise for an error, and fall for what is better the larger it is.
    """

    title: str
    edges: tuple[float, ...]
    missing: str  # what the bin without a measurable answer is called
    error: Error | None = None  # from an item's scores; None: counted by collect
    hidden: int = 1  # so many bins a figure leaves out: of right answers, which would dwarf the rest
    names: tuple[str, ...] = ()

    @property
    def bins(self) -> tuple[str, ...]:
        return (*(self.names or _names(self.edges)), self.missing)

    def bin(self, error: float | None) -> str:
        if error is None:
            return self.missing
        reached = [index for index, edge in enumerate(self.edges) if error >= edge]
        return self.bins[reached[0] if self.edges[0] > self.edges[-1] else reached[-1]]


def magnitude_of(task: str) -> Magnitude:
    return _MAGNITUDES.get(task, _DIGITS)


def binned(magnitude: Magnitude, items: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """Bin → number of items; {} where the items lack the scores it is made from."""
    assert magnitude.error is not None
    counts = dict.fromkeys(magnitude.bins, 0)
    for item in items:
        try:
            counts[magnitude.bin(magnitude.error(dict(item)))] += 1
        except (KeyError, ValueError):
            return {}
    return counts if any(counts.values()) else {}


def _names(edges: tuple[float, ...]) -> tuple[str, ...]:
    """0, 1, 3, 10 → "0", "1–2", "3–9", "10+"."""
    closed = [f"{low:g}" if high - low == 1 else f"{low:g}–{high - 1:g}" for low, high in pairwise(edges)]
    return (*closed, f"{edges[-1]:g}+")


def _clock(item: Row) -> float | None:
    return float(item["gap_circular"]) if item["gap_circular"] else None


def _overlap(item: Row) -> float | None:
    return float(item["iou"]) if float(item["parsed"]) else None


def _regions(item: Row) -> float | None:
    """Regions missed and regions invented."""
    hits, found, targets = (float(item[name]) for name in ("hits", "found", "targets"))
    return found + targets - 2 * hits if float(item["parsed"]) else None


_DIGITS = Magnitude("wrong digits", (0, 1, 2, 3, 4, 5), "no number")
_COUNTED = Magnitude("regions missed or invented", (0, 1, 2, 3, 5, 10), "no answer", _regions)
_MAGNITUDES = {
    "clock": Magnitude("minutes off, around the dial", (0, 1, 2, 3, 5, 10, 30, 60), "no time", _clock),
    "localization": Magnitude(
        "IoU with the truth",
        (0.9, 0.75, 0.5, 0.25, 0),
        "no box",
        _overlap,
        hidden=0,
        names=("0.9–1", "0.75–0.9", "0.5–0.75", "0.25–0.5", "0–0.25"),
    ),
    "text_detection": _COUNTED,
    "detection": _COUNTED,
}
