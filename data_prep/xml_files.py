"""Annotations in XML, read without entities: these formats need none, and expanding them can exhaust a machine."""

import re
from pathlib import Path
from xml.etree import ElementTree

_DECLARED = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def read_xml(path: Path) -> ElementTree.Element | str:
    """The root element, or why the file cannot be used."""
    content = path.read_bytes()
    if (
        _DECLARED.search(content) or b"\x00" in content
    ):  # zero bytes: UTF-16 or 32, where the search would be blind
        return "its XML declares entities or a document type, or is not UTF-8"
    try:
        return ElementTree.fromstring(content)  # nothing is declared, so nothing expands
    except ElementTree.ParseError as error:
        return f"broken XML ({error})"
