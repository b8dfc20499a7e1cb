"""A table's rows as texts by column, from the content of its files: values with a separator, or a JSON list of objects.

Numbers are written plainly (`1.51e+02` as `151`); what says that a value is missing (`NA`, `nan`, `null`, nothing) is "".
"""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from ntil.errors import UserError

MISSING = {"", "na", "nan", "null", "none", "?"}
LARGEST = 15  # power of ten up to which numbers are written out
Row = dict[str, str]


def read_rows(names: Sequence[str], contents: Sequence[bytes], header: Sequence[str]) -> list[Row]:
    """The rows of files that stand side by side: the first rows of all of them make one row.

    names: for their endings and for messages. header: the columns of all files, where their first lines do not say them.
    """
    tables = [_cells(name, content) for name, content in zip(names, contents, strict=True)]
    if len({len(table) for table in tables}) != 1:
        counts = ", ".join(f"{name} {len(table)}" for name, table in zip(names, tables, strict=True))
        raise UserError(f"files that stand side by side must have as many lines: {counts}.")
    lines = [[cell for part in parts for cell in part] for parts in zip(*tables, strict=True)]
    columns = list(header) or [cell.strip() for cell in (lines.pop(0) if lines else [])]
    rows = []
    for number, line in enumerate(lines, start=1):
        if len(line) != len(columns):
            raise UserError(
                f"{names[0]}: row {number} has {len(line)} cells and the table {len(columns)} columns."
            )
        rows.append({column: plain(cell) for column, cell in zip(columns, line, strict=True)})
    return rows


def check_columns(rows: Sequence[Row], wanted: Sequence[str], where: str) -> None:
    """UserError unless the table has rows and these columns."""
    if not rows:
        raise UserError(f"{where} holds no rows.")
    if lacking := [column for column in wanted if column not in rows[0]]:
        raise UserError(f"{where} has no column {lacking[0]!r}. Its columns: {', '.join(rows[0])}.")


def plain(cell: str) -> str:
    """A cell's text: "" where it is missing, a number without exponent or needless zeros."""
    cell = " ".join(cell.split())
    if cell.lower() in MISSING:
        return ""
    value = number(cell)
    if value is None or (value and not -LARGEST <= value.adjusted() <= LARGEST):
        return cell
    return f"{value.normalize():f}" if value else "0"


def number(text: str) -> Decimal | None:
    """The finite number that a text is."""
    try:
        value = Decimal(text) if text.isascii() and "_" not in text else None
    except InvalidOperation:
        return None
    return value if value is not None and value.is_finite() else None


def _cells(name: str, content: bytes) -> list[list[str]]:
    """Lines of cells; of JSON the keys of the first object come first."""
    try:
        if name.endswith(".gz"):
            name, content = name.removesuffix(".gz"), gzip.decompress(content)
        text = content.decode("utf-8-sig")
        if name.endswith(".json"):
            return _objects(json.loads(text))
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise UserError(f"{name} cannot be read: {type(error).__name__}: {error}.") from None
    lines = text.splitlines()
    separator = max(",;\t", key=(lines or [""])[0].count)
    if separator not in (lines or [""])[0]:
        return [line.split() for line in lines if line.strip()]
    return [cells for cells in csv.reader(io.StringIO(text), delimiter=separator) if any(cells)]


def _objects(found: object) -> list[list[str]]:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found) or not found:
        raise ValueError("it holds no list of objects")
    keys = list(found[0])
    return [keys] + [
        ["" if one.get(key) is None else str(one[key]) for key in keys] for one in found if one is not None
    ]
