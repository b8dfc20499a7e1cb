"""Values of annotation files, which hold numbers as text, identities of any type, and what is neither."""

import math
import re
from typing import Any

from ntil.data.pictures import Size

_NUMBER = re.compile(r"\s*[-+]?([0-9]{1,300}(\.[0-9]{0,300})?|\.[0-9]{1,300})([eE][-+]?[0-9]{1,4})?\s*")
LARGEST = 1e6  # pixels of an edge; what is further away is no place in a picture


def number(value: Any) -> float | None:
    """A finite number, also where it is written as text; None for anything else."""
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond all floats
        return None


def pixels(value: Any) -> float | None:
    """A number that can be a place in a picture."""
    found = number(value)
    return found if found is not None and abs(found) < LARGEST else None


def identity(value: Any) -> str | None:
    """What names a record: a text, or a number as it is written. 17, 17.0 and "17" are one, "017" is another."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool) or number(value) is None:
        return None
    return str(int(value)) if value == int(value) else str(value)


def order(name: str) -> tuple[bool, int, str]:
    """The order of identities: whole numbers by value, then texts."""
    whole = re.fullmatch("-?[0-9]{1,18}", name) is not None
    return (not whole, int(name) if whole else 0, name)


def yes(value: Any) -> bool:
    """1, true or any number but 0, also as text; False for anything else."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "yes") or bool(number(value))
    return bool(value) if isinstance(value, bool) else bool(number(value))


def text(value: Any) -> str | None:
    """A name in one line; None for what has no words."""
    if isinstance(value, str):
        return " ".join(value.split()) or None
    return identity(value)


def size(width: Any, height: Any) -> Size | None:
    """The size in pixels that an annotation states; None where it states none."""
    wide, high = number(width), number(height)
    if wide is None or high is None or not (1 <= wide < LARGEST and 1 <= high < LARGEST):
        return None
    return round(wide), round(high)
