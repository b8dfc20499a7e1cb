"""Coordinates as whole numbers on one grid: areas have no rounding, and an IoU of exactly one half is one half.

A float counts as it is written, so that 0.1 is one tenth. 150 boxes of a picture cost as much as in floats.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import lcm

Number = int | float | Fraction


def exact(value: Number) -> Fraction:
    """The value that a coordinate is written as."""
    return Fraction(value) if isinstance(value, int | Fraction) else Fraction(repr(float(value)))


def grid(values: Iterable[Number]) -> int:
    """Into how many steps a pixel must be cut for each value to be a whole number of them."""
    return lcm(*(exact(value).denominator for value in values))


def steps(values: Sequence[Number], cut: int) -> list[int]:
    """The values as whole numbers of a grid that has `cut` steps to the pixel."""
    return [int(exact(value) * cut) for value in values]
