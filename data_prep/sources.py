"""Files as they come: texts in several encodings, tables of which a line may be broken, pictures under a slightly other name."""

import csv
from dataclasses import dataclass, field
from json import detect_encoding
from pathlib import Path

from data_prep.accounts import plain
from ntil.errors import UserError
from ntil.io import inside

PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
MARK = "\ufeff"


def read_text(path: Path) -> str | None:
    """The text of a file without its byte-order mark; None where it cannot be read or its bytes are no text.

    Meant for files that begin with an ASCII character, as labels, lists and JSON do: the zero bytes beside it tell UTF-16
    and UTF-32. What is not valid UTF-8 is Latin-1, in which every byte is a character, unless it holds zero bytes.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    try:
        return content.decode(detect_encoding(content)).removeprefix(MARK)
    except UnicodeDecodeError:
        return None if b"\x00" in content else content.decode("latin-1")


def lines(text: str) -> list[tuple[int, str]]:
    """(number from 1, line) of each line that is not blank, whichever system wrote its end."""
    ended = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [(number, line) for number, line in enumerate(ended, start=1) if line.strip()]


def shown(text: str) -> str:
    """The text, fit for a file in UTF-8: what is no character (undecodable bytes of a file's name) is written out."""
    return text.encode(errors="backslashreplace").decode()


@dataclass(frozen=True)
class Table:
    """A file of comma-separated values, or with semicolons or tabs in their place."""

    columns: list[str]
    rows: list[tuple[int, dict[str, str] | str]]  # (line, its cells by column, or why it cannot be read)


def read_table(path: Path) -> Table:
    """One record a line, so that a quote that nothing closes spoils no other record. Missing cells are ''."""
    text = read_text(path)
    if text is None:
        raise UserError(f"{shown(str(path))} holds no text.")
    (_, head), *rest = lines(text) or [(1, "")]
    comma = max(",;\t", key=head.count)
    columns = [name.strip() for name in _cells(head, comma) or ()]
    rows: list[tuple[int, dict[str, str] | str]] = []
    for number, line in rest:
        cells = _cells(line, comma)
        if cells is None:
            rows.append((number, "its quotes do not close, or a cell is too long"))
        elif any(cell.strip() for cell in cells[len(columns) :]):
            rows.append((number, "it has more cells than the table has columns"))
        else:
            filled = [*cells, *[""] * len(columns)][: len(columns)]
            rows.append((number, dict(zip(columns, filled, strict=True))))
    return Table(columns, rows)


def _cells(line: str, comma: str) -> list[str] | None:
    try:
        return next(csv.reader([line], delimiter=comma, strict=True))
    except (csv.Error, StopIteration):
        return None


@dataclass
class Folder:
    """Finds pictures below `raw` whose name a list gives nearly right: another ending, case or Unicode form."""

    raw: Path
    _known: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)  # folder → plain stem → pictures

    def picture(self, name: str) -> str | None:
        """The picture's path below raw; None where there is none, or several that may be meant.

        A name that leads outside raw is a UserError.
        """
        path = inside(self.raw, name)
        try:
            if path.is_file():
                return name
            if path.parent not in self._known:
                self._known[path.parent] = _by_stem(path.parent)
        except (OSError, ValueError):  # a name too long for the system
            return None
        near = self._known[path.parent].get(plain(path.stem), [])
        return near[0].relative_to(self.raw.resolve()).as_posix() if len(near) == 1 else None


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in PICTURES:
            found.setdefault(plain(path.stem), []).append(path)
    return found
