"""What stands in the cells of a CSV file: each column's values have a type of their own, read and written in one way.

A row class says with its annotations what its file holds: `seed: Whole`, `value: Number | None` for a cell that may be empty.
"""

import re
from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

_WHOLE = re.compile(r"-?[0-9]{1,18}")
Ratio = tuple[tuple[str, ...], tuple[str, ...]]  # names of what is summed above and below


def cell(value: Any) -> str:
    """Text for a CSV cell: '' for None, shortest exact form for numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


class Kind(NamedTuple):
    """How a column's cells are read and written. `read` raises ValueError at a cell that is none of the expected."""

    expected: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = cell


def is_plain_name(name: str) -> bool:
    """Whether an experiment or a run may be called so: files are named by it, and it stands on pages."""
    return (
        name.isprintable() and "/" not in name and not name.startswith(".") and 0 < len(name.encode()) <= 220
    )


def _only(holds: Callable[[str], object]) -> Callable[[str], str]:
    """The reader of text that `holds`."""

    def read(text: str) -> str:
        if not holds(text):
            raise ValueError(text)
        return text

    return read


def _whole(low: int = -(10**18), high: int = 10**18) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    return read


def _number(text: str) -> float:
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    return float(text)


def _flag(text: str) -> bool:
    return _only(("true", "false").__contains__)(text) == "true"


def _ratio(text: str) -> Ratio | None:
    if not text:
        return None
    above, below = text.split("/")
    return tuple(above.split("+")), tuple(below.split("+"))


def _ratio_cell(ratio: Ratio | None) -> str:
    return "/".join("+".join(names) for names in ratio) if ratio else ""


ANY = Kind("text", str)
NUMBER = Kind("a number", _number)
Name = Annotated[str, Kind("a plain name", _only(is_plain_name))]
Text = Annotated[str, Kind("text", _only(bool))]
Whole = Annotated[int, Kind("a whole number", _whole())]
Count = Annotated[int, Kind("a whole number of 0 or more", _whole(0))]
Decimals = Annotated[int, Kind("0 to 12", _whole(0, 12))]
Number = Annotated[float, NUMBER]
Flag = Annotated[bool, Kind("true or false", _flag)]
Direction = Annotated[str, Kind("higher or lower", _only(("higher", "lower").__contains__))]
Sums = Annotated[Ratio | None, Kind("names by +, twice, by /, or nothing", _ratio, _ratio_cell)]


def rounded(form: str) -> Kind:
    """A number that is written with so many places."""
    return Kind("a number", _number, lambda value: format(value, form))


def optional(kind: Kind) -> Kind:
    """A cell that may be empty: None."""
    return Kind(
        f"{kind.expected}, or nothing",
        lambda text: kind.read(text) if text else None,
        lambda value: "" if value is None else kind.write(value),
    )


def kinds_of(row: type) -> dict[str, Kind]:
    """The columns of a row class, in order."""
    return {name: _kind(hint) for name, hint in get_type_hints(row, include_extras=True).items()}


def _kind(hint: Any) -> Kind:
    found = next((part for part in getattr(hint, "__metadata__", ()) if isinstance(part, Kind)), None)
    if found is not None:
        return found
    inner = [part for part in get_args(hint) if part is not NoneType]
    return optional(_kind(inner[0])) if inner else ANY
