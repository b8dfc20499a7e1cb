"""CSV files read with every cell checked, written the same bytes each time, and repaired as far as they can be.

What is wrong with a file is a UserError that names the line, the column and the cell. `salvage` keeps the lines that hold
and says which do not; the damaged file stays beside the repaired one.
"""

import csv
import gzip
import io
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd

from experiments.results.cells import Kind, kinds_of
from ntil.errors import UserError
from ntil.io import atomic_open, reading, writing

Row = TypeVar("Row", bound=tuple[Any, ...])
DAMAGED = ".damaged"  # what the name of a file that was repaired goes on with
REPAIR = (
    "`python -m experiments.collect --repair` keeps the lines that can be read, adds what outputs/ still holds and leaves "
    f"the file as it is under a name that ends in {DAMAGED}."
)


@dataclass(frozen=True)
class Form(Generic[Row]):
    """What a file holds.

    row       a named tuple, whose annotations say what the cells of its columns are
    key       the columns that no two lines share
    others    what the cells of further columns are, which are not read without
    together  '' or what is wrong with cells that hold one by one
    """

    row: type[Row]
    key: tuple[str, ...]
    others: Kind | None = None
    together: Callable[[Row], str] = lambda row: ""

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        return kinds_of(self.row)


@dataclass(frozen=True)
class _Lines:
    """The lines of a file that hold, under these columns, and what is wrong with the others."""

    columns: list[str]
    values: list[list[Any]]
    faults: list[str]


def read(path: Path, form: Form[Row]) -> list[Row]:
    """Its rows; [] where the file does not exist."""
    found = _whole(path, form)
    return [form.row(*values) for values in found.values]


def read_frame(path: Path, form: Form[Any]) -> pd.DataFrame:
    """The same as a frame, further columns included."""
    found = _whole(path, form)
    frame = pd.DataFrame(found.values, columns=found.columns)
    return frame.astype(dict.fromkeys(found.columns[len(form.kinds) :], float))


def _whole(path: Path, form: Form[Any]) -> _Lines:
    if not path.exists():
        return _Lines(list(form.kinds), [], [])
    found = _lines(path, form)
    if found.faults:
        raise UserError(f"{path} {found.faults[0]}. {REPAIR}")
    return found


def salvage(path: Path, form: Form[Any]) -> list[str]:
    """Repair a damaged file, keeping a copy of it; what was wrong, [] where nothing was."""
    if not path.exists():
        return []
    found = _lines(path, form)
    if not found.faults:
        return []
    copy = _free_name(path)
    with writing(copy):
        shutil.copyfile(path, copy)
    write(path, form, found.values, found.columns)
    said = f"is repaired: {len(found.values)} lines hold; as it was: {copy}"
    return [f"{path} {fault}" for fault in [*found.faults, said]]


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}{DAMAGED}{f'-{count}' if count else ''}") for count in range(10_000))
    return next(name for name in names if not name.exists())


def _lines(path: Path, form: Form[Any]) -> _Lines:
    """The form's columns come first, in its order."""
    text, faults = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""))
    found = _Lines(list(form.kinds), [], faults)
    heads: list[str] | None = None
    places: list[tuple[int, str, Kind]] = []  # of the columns that are read
    seen: dict[tuple[Any, ...], int] = {}
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
            if missing := [column for column in form.kinds if column not in heads]:
                faults.append(f"lacks the columns {', '.join(missing)}")
                break
            if len(set(heads)) < len(heads):
                faults.append("has a column twice")
                break
            if torn := [column for column in heads if _is_torn(column)]:
                faults.append(f"has columns whose names are no UTF-8 text: {', '.join(map(repr, torn))}")
            if form.others:
                found.columns.extend(
                    column for column in heads if column not in form.kinds and column not in torn
                )
            places = [
                (heads.index(column), column, form.kinds.get(column) or form.others)  # type: ignore[misc]
                for column in found.columns
            ]
        elif len(cells) != len(heads):
            faults.append(f"has {len(cells)} cells instead of {len(heads)} in line {line}")
        else:
            try:
                values = [_value(cells[place], column, kind) for place, column, kind in places]
                if fault := form.together(form.row(*values[: len(form.kinds)])):
                    raise ValueError(fault)
            except ValueError as error:
                faults.append(f"has a bad line {line}: {error}")
                continue
            key = tuple(values[found.columns.index(column)] for column in form.key)
            if (first := seen.setdefault(key, line)) != line:
                faults.append(
                    f"says in line {line} again what line {first} says, of {', '.join(map(str, key))}"
                )
            else:
                found.values.append(values)
    if heads is None:
        faults.append("is empty")
    return found


def _value(text: str, column: str, kind: Kind) -> Any:
    if _is_torn(text):
        raise ValueError(f"{column} is no UTF-8 text")
    try:
        return kind.read(text)
    except ValueError:
        raise ValueError(f"{column} is {text[:60]!r}; expected {kind.expected}") from None


def _is_torn(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)


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


class _Endings:
    """Takes the lines of a csv.writer that ends them in \\r\\n, since only then it quotes both; ends them in \\n."""

    def __init__(self) -> None:
        self.text = io.StringIO(newline="")

    def write(self, line: str) -> None:
        self.text.write(line.removesuffix("\r\n") + "\n")


def write(
    path: Path,
    form: Form[Any],
    rows: Iterable[tuple[Any, ...] | list[Any]],
    columns: Sequence[str] | None = None,
) -> None:
    """The values of `rows` under `columns`, of which the form's come first; by default there are no others."""
    columns = [*form.kinds] if columns is None else columns
    kinds = [form.kinds.get(column) or form.others for column in columns]
    lines = _Endings()
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([kind.write(value) for kind, value in zip(kinds, row, strict=True) if kind])
    data = lines.text.getvalue().encode()
    with atomic_open(path, "wb") as file:
        file.write(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
