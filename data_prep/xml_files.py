"""Annotations in XML, read without entities: these formats need none, and expanding them can exhaust a machine.

Tools write XML by pasting text into it. Where a file is broken, what they forgot to escape is read as it was meant: a bare `&`
or `<`, HTML's names of characters (`&eacute;`), characters that XML forbids. Files say or show their encoding, or are UTF-8 or
Latin-1.
"""

import re
from html import escape
from html.entities import html5
from json import detect_encoding
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers.expat import ErrorString

LARGEST = 16 * 2**20  # bytes; an annotation has thousands
OWN_NAMES = ("amp", "lt", "gt", "quot", "apos")  # of characters, in XML itself
_DECLARED = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_ENCODING = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})["']""")
_ENCODINGS = re.compile(  # plain tables of characters; Python knows others, of which some are slow
    r"utf[-_]?8|(us[-_])?ascii|iso[-_]8859[-_]\d+|latin[-_]?1|(windows[-_]|cp)125\d|koi8[-_][ru]|gbk|gb2312|gb18030|big5"
    r"|euc[-_](jp|kr)|shift[-_]jis",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TO_MEND = re.compile(
    r"(?P<kept><!\[CDATA\[(?s:.*?)(?:\]\]>|\Z)|<!--(?s:.*?)(?:-->|\Z))|&(?P<name>[#\w]{1,40});|&|<(?![^\W\d]|[:/!?])"
)


def read_xml(path: Path) -> ElementTree.Element | str:
    """The root element, its tags without namespaces; or why the file cannot be used."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"its file cannot be read ({type(error).__name__})"
    if len(content) > LARGEST:
        return f"its XML is larger than {LARGEST // 2**20} MiB"
    text = _decoded(content).lstrip("\ufeff \t\r\n")
    try:
        root = _parsed(text)
    except ElementTree.ParseError:
        try:
            root = _parsed(_TO_MEND.sub(_mended, _FORBIDDEN.sub("", text)))
        except ElementTree.ParseError as error:
            return f"broken XML ({ErrorString(error.code)})"
    if root is None:
        return "its XML declares entities or a document type"
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _parsed(text: str) -> ElementTree.Element | None:
    """None where something is declared; else nothing expands."""
    return None if _DECLARED.search(text) else ElementTree.fromstring(text)


def _decoded(content: bytes) -> str:
    shown: str = detect_encoding(content)  # a byte-order mark, or the zero bytes beside the first `<`
    said = _ENCODING.match(content)
    if shown == "utf-8" and said and _ENCODINGS.fullmatch(said[1].decode("ascii")):
        shown = said[1].decode("ascii")
    try:
        return content.decode(shown)
    except (UnicodeDecodeError, LookupError):
        return content.decode("latin-1") if shown == "utf-8" or said else content.decode(shown, "replace")


def _mended(match: re.Match[str]) -> str:
    """What stands for a place where text was not escaped."""
    whole, name = match[0], match["name"]
    if match["kept"] is not None or name in OWN_NAMES:
        return whole
    if name is None:
        return escape(whole)
    if name.startswith("#"):
        return whole if _is_character(name[1:]) else f"&amp;{whole[1:]}"
    return escape(html5[f"{name};"]) if f"{name};" in html5 else f"&amp;{whole[1:]}"


def _is_character(number: str) -> bool:
    """`65` and `x41` are, `0` is not."""
    digits, base = (number[1:], 16) if number[:1] == "x" else (number, 10)
    if not re.fullmatch("[0-9a-fA-F]{1,8}" if base == 16 else "[0-9]{1,8}", digits):
        return False
    value = int(digits, base)
    return value <= 0x10FFFF and not _FORBIDDEN.match(chr(value))
