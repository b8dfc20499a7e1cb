"""CSV files read with every cell checked, written the same bytes each time, and repaired as far as they can be.

What is wrong with a file is a UserError that names the line, the column and the cell. `salvage` keeps the lines that hold
and says which do not; the damaged file stays beside the repaired one.
"""

import csv
import gzip
import io
import re
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ntil.errors import UserError
from ntil.io import atomic_open, reading, writing

Row = dict[str, str]
DAMAGED = ".damaged"  # what the name of a file that was repaired goes on with
REPAIR = (
    "`python -m experiments.collect --repair` keeps the lines that can be read, adds what outputs/ still holds and leaves "
    f"the file as it is under a name that ends in {DAMAGED}."
)
_WHOLE = re.compile(r"-?[0-9]{1,18}")


class Kind(NamedTuple):
    """What a column's cells may be."""

    expected: str
    holds: Callable[[str], bool]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isascii() and "_" not in cell


def is_plain_name(name: str) -> bool:
    """Whether an experiment or a run may be called so: files are named by it, and it stands on pages."""
    return (
        name.isprintable() and "/" not in name and not name.startswith(".") and 0 < len(name.encode()) <= 220
    )


WHOLE = Kind("a whole number", lambda cell: bool(_WHOLE.fullmatch(cell)))
COUNT = Kind("a whole number of 0 or more", lambda cell: bool(_WHOLE.fullmatch(cell)) and int(cell) >= 0)
DIGITS = Kind("0 to 12", lambda cell: bool(_WHOLE.fullmatch(cell)) and 0 <= int(cell) <= 12)
NUMBER = Kind("a number", _is_number)
BETTER = Kind("higher or lower", lambda cell: cell in ("higher", "lower"))
NAME = Kind("a plain name", is_plain_name)
TEXT = Kind("text", bool)
RATIO = Kind("names by +, twice, by /", lambda cell: cell.count("/") == 1)


def optional(kind: Kind) -> Kind:
    return Kind(f"{kind.expected}, or nothing", lambda cell: not cell or kind.holds(cell))


class Form(NamedTuple):
    """The columns that a file must have, what their cells may be, and what those of all others may be."""

    columns: Sequence[str]
    kinds: Mapping[str, Kind]
    others: Kind | None = None
    together: Callable[[Row], str] | None = None  # '' or what is wrong with cells that hold one by one

    def fault(self, row: Row) -> str:
        """'' or what is wrong with the row."""
        for column, cell in row.items():
            kind = self.kinds.get(column, None if column in self.columns else self.others)
            if kind is not None and not kind.holds(cell):
                return f"{column} is {cell[:60]!r}; expected {kind.expected}"
        return self.together(row) if self.together else ""


def read(path: Path, form: Form) -> list[Row]:
    """Its rows; [] where the file does not exist."""
    if not path.exists():
        return []
    rows, faults = _rows(path, form)
    if faults:
        raise UserError(f"{path} {faults[0]}. {REPAIR}")
    return rows


def salvage(path: Path, form: Form) -> list[str]:
    """Repair a damaged file, keeping a copy of it; what was wrong, [] where nothing was."""
    if not path.exists():
        return []
    rows, faults = _rows(path, form)
    if faults:
        copy = _free_name(path)
        with writing(copy):
            shutil.copyfile(path, copy)
        columns = list(dict.fromkeys([*form.columns, *(key for row in rows for key in row)]))
        write(path, columns, rows)
        faults.append(f"is repaired: {len(rows)} lines hold; as it was: {copy}")
    return [f"{path} {fault}" for fault in faults]


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}{DAMAGED}{f'-{count}' if count else ''}") for count in range(10_000))
    return next(name for name in names if not name.exists())


def _rows(path: Path, form: Form) -> tuple[list[Row], list[str]]:
    """(the rows that hold, what is wrong with the others)."""
    text, faults = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: list[Row] = []
    heads: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            faults.append(f"has a line {line} that is no CSV ({error})")
            continue
        if not cells:
            continue  # an empty line
        if heads is None:
            heads = cells
            if missing := [column for column in form.columns if column not in heads]:
                return [], [*faults, f"lacks the columns {', '.join(missing)}"]
            if len(set(heads)) < len(heads):
                return [], [*faults, "has a column twice"]
            if torn := [column for column in heads if _is_torn(column)]:
                faults.append(f"has columns whose names are no UTF-8 text: {', '.join(map(repr, torn))}")
        elif len(cells) != len(heads):
            faults.append(f"has {len(cells)} cells instead of {len(heads)} in line {line}")
        else:
            row = {column: cell for column, cell in zip(heads, cells, strict=True) if not _is_torn(column)}
            if fault := form.fault(row) or _torn(row):
                faults.append(f"has a bad line {line}: {fault}")
            else:
                rows.append(row)
    if heads is None:
        faults.append("is empty")
    return rows, faults


def _torn(row: Row) -> str:
    torn = [column for column, cell in row.items() if _is_torn(cell)]
    return f"{torn[0]} is no UTF-8 text" if torn else ""


def _is_torn(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _text(path: Path) -> tuple[str, list[str]]:
    """(its text as far as it can be read, what is wrong with it)."""
    with reading(path):
        data = path.read_bytes()
    faults = []
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            faults.append(f"is no whole gzip file ({error})")
            data = _unpacked(data)
            data = data[: data.rfind(b"\n") + 1]  # its last line may be torn
    try:
        return data.decode(), faults
    except UnicodeDecodeError as error:
        return data.decode(errors="surrogateescape"), [*faults, f"is not UTF-8 text ({error})"]


def _unpacked(data: bytes) -> bytes:
    """As much as comes out before the damage."""
    stream, found = zlib.decompressobj(wbits=31), b""
    try:
        for start in range(0, len(data), 256):
            found += stream.decompress(data[start : start + 256])
    except zlib.error:
        pass
    return found


class _Lines:
    """Takes the lines of a csv.writer that ends them in \\r\\n, since only then it quotes both; ends them in \\n."""

    def __init__(self) -> None:
        self.text = io.StringIO(newline="")

    def write(self, line: str) -> None:
        self.text.write(line.removesuffix("\r\n") + "\n")


def write(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    lines = _Lines()
    writer = csv.DictWriter(lines, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    data = lines.text.getvalue().encode()
    with atomic_open(path, "wb") as file:
        file.write(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
