"""How far off an answer is, in bins: for each task the error that its readers ask for first.

A task that names no measure of its own is shown by the number of its wrong digits, which are counted from the answers
themselves; all others are measured on an item's scores.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isnan

Scores = Mapping[str, float | None]  # of an item by name


@dataclass(frozen=True)
class Magnitude:
    """An error and its bins, the best one first.

    title    of the table and the axis, with the unit: "minutes off, around the dial"
    edges    each bin's smallest value; they rise for an error, and fall for what is better the larger it is
    missing  what the bin without a measurable answer is called: "no time"
    measure  from an item's scores; None for the item where there is no answer to measure. Without a measure, the wrong
             digits of the answer are counted
    hidden   so many bins a figure leaves out: of right answers, which would dwarf the rest
    names    of the bins; by default from whole-numbered edges ("0", "1–2", "3+")
    """

    title: str
    edges: tuple[float, ...]
    missing: str
    measure: Callable[[Scores], float | None] | None = None
    hidden: int = 1
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        steps = [high - low for low, high in pairwise(self.edges)]
        if not steps or not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
            raise ValueError(
                f"the edges of {self.title!r} must be two or more that rise, or that fall: {self.edges}"
            )
        if self.names and len(self.names) != len(self.edges):
            raise ValueError(f"{self.title!r} has {len(self.edges)} bins and {len(self.names)} names")

    @property
    def bins(self) -> tuple[str, ...]:
        return (*(self.names or _names(self.edges)), self.missing)

    def bin(self, error: float | None) -> str:
        """The bin of an error; below all edges it is the first of rising ones, else the last. NaN is no measurement."""
        if error is None or isnan(error):
            return self.missing
        reached = [index for index, edge in enumerate(self.edges) if error >= edge]
        if self.edges[0] > self.edges[-1]:
            return self.bins[reached[0] if reached else len(self.edges) - 1]
        return self.bins[reached[-1] if reached else 0]


def _names(edges: tuple[float, ...]) -> tuple[str, ...]:
    """0, 1, 3, 10 → "0", "1–2", "3–9", "10+"; 0, 0.5, 2 → "0–0.5", "0.5–2", "2+"."""
    whole = all(float(edge).is_integer() for edge in edges)
    closed = [
        (f"{low:g}" if high - low == 1 else f"{low:g}–{high - 1:g}") if whole else f"{low:g}–{high:g}"
        for low, high in pairwise(edges)
    ]
    return (*closed, f"{edges[-1]:g}+")


WRONG_DIGITS = Magnitude("wrong digits", (0, 1, 2, 3, 4, 5), "no number")
