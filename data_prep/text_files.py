"""Text files as their owners wrote them: UTF-8, UTF-16 or UTF-32, with or without a byte-order mark, and Latin-1."""

from json import detect_encoding
from pathlib import Path

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
    encoding = detect_encoding(content)
    try:
        return content.decode(encoding).removeprefix(MARK)
    except UnicodeDecodeError:
        return None if b"\x00" in content else content.decode("latin-1")
