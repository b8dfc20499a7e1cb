"""Values of a run's files taken with their types checked: what is wrong is said with the file, the key and the value."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from ntil.errors import UNEXPECTED, UserError

LONGEST = 2_000  # letters of a name, a label, an id


class BrokenRunError(Exception):
    """The folder cannot be used; the message is the reason."""


@contextmanager
def of(files: str) -> Iterator[None]:
    """Whatever is wrong while `files` are read is a BrokenRunError that names them, or what else is read in words."""
    try:
        yield
    except BrokenRunError as error:
        raise BrokenRunError(f"{files}: {error}" if "." in files else str(error)) from None
    except KeyError as error:
        raise BrokenRunError(f"{files} lacks the key {error}") from None
    except (UserError, OSError) as error:
        raise BrokenRunError(" ".join(str(error).split())) from None
    except UNEXPECTED as error:
        raise BrokenRunError(f"{files} has an unexpected form ({' '.join(str(error).split())})") from None


def text(value: Any, name: str, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or not (value or empty):
        _refuse(value, name, f"text of {0 if empty else 1} to {LONGEST} letters")
    return value


def whole(value: Any, name: str, low: int = 0, high: int = 10**15) -> int:
    number = value
    if isinstance(value, float) and value.is_integer():
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        _refuse(value, name, f"a whole number from {low} to {high}")
    return number


def number(value: Any, name: str, finite: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(value, name, "a number")
    found = float(value)
    if finite and not math.isfinite(found):
        _refuse(value, name, "a finite number")
    return found


def maybe(take: Any, value: Any, name: str, **options: Any) -> Any:
    """None, or what `take` makes of the value."""
    return None if value is None else take(value, name, **options)


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        _refuse(value, name, "an object")
    return value


def listing(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, list):
        _refuse(value, name, "a list")
    return value


def _refuse(value: Any, name: str, expected: str) -> NoReturn:
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # thousands of digits
        shown = f"a {type(value).__name__} that is too large to show"
    shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
    raise BrokenRunError(f"{name} is {shown}; expected {expected}")
