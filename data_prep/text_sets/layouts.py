"""How each set writes its words. A reader takes a label file's text and gives words and the parts it could not read.

icdar2013    158 128 411 181 "Footpath"                       training; test: 38, 43, 920, 215, "Tiredness"
icdar2015    377,117,463,117,465,130,378,130,Genaxis, Theatre  four corners; the text may hold commas; ### is ignored
sroie        72,25,326,25,326,64,72,64,TAN WOON YANN          as ICDAR 2015, nothing is ignored
total_text   x: [[259 313 …]], y: [[542 …]], ornt: [u'c'], transcriptions: [u'PAUL']    may wrap lines; # is ignored
ctw1500      XML in training; 28 integers and ####text in test; ### is ignored
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from data_prep.xml_files import read_xml

Point = tuple[float, float]


@dataclass(frozen=True)
class Word:
    """A word's outline in pixels of the picture, and what it says."""

    points: tuple[Point, ...]
    text: str
    ignored: bool = False


@dataclass(frozen=True)
class Unread:
    """A part of a label file that holds no word: where, and why."""

    where: str
    why: str


Reader = Callable[[Path], Iterator[Word | Unread]]
_ICDAR13 = re.compile(r'\s*(\d+),?\s+(\d+),?\s+(\d+),?\s+(\d+),?\s+"(.*)"\s*')
_TOTAL = re.compile(
    r"x:\s*\[\[(?P<x>[\d\s]*)\]\],\s*y:\s*\[\[(?P<y>[\d\s]*)\]\],\s*ornt:\s*\[(?P<ornt>[^\]]*)\],\s*"
    r"transcriptions:\s*\[(?P<text>.*)\]",
    re.DOTALL,
)
_QUOTED = re.compile(r"""u?(['"])(.*)\1""", re.DOTALL)


def icdar2013(path: Path) -> Iterator[Word | Unread]:
    for where, line in _lines(path):
        match = _ICDAR13.fullmatch(line)
        if match is None:
            yield Unread(where, "expected four integers and a text in quotes")
            continue
        x1, y1, x2, y2 = (float(match[place]) for place in range(1, 5))
        yield Word(((x1, y1), (x2, y1), (x2, y2), (x1, y2)), match[5])


def icdar2015(path: Path) -> Iterator[Word | Unread]:
    for where, line in _lines(path):
        *numbers, text = [*line.split(",", 8), ""][:9]
        points = _points(numbers)
        if len(numbers) < 8 or points is None:
            yield Unread(where, "expected eight integers and a text")
        else:
            yield Word(points, text, ignored=text.strip() == "###")


def sroie(path: Path) -> Iterator[Word | Unread]:
    for word in icdar2015(path):
        yield Word(word.points, word.text) if isinstance(word, Word) else word


def total_text(path: Path) -> Iterator[Word | Unread]:
    records = re.split(r"(?=\bx:\s*\[\[)", _text(path))
    for number, record in enumerate((r for r in records if r.strip()), start=1):
        match, where = _TOTAL.fullmatch(record.strip()), f"record {number}"
        xs, ys = (match["x"].split(), match["y"].split()) if match else ([], [])
        if match is None or len(xs) != len(ys):
            yield Unread(where, "expected x, y (as many of each), ornt and transcriptions")
            continue
        quoted = _QUOTED.fullmatch(match["text"].strip())
        text = quoted[2] if quoted else match["text"].strip()
        ignored = text == "#" or "#" in match["ornt"]
        yield Word(tuple(zip(map(float, xs), map(float, ys), strict=True)), text, ignored)


def ctw1500(path: Path) -> Iterator[Word | Unread]:
    return _ctw_training(path) if path.suffix.lower() == ".xml" else _ctw_test(path)


def _ctw_test(path: Path) -> Iterator[Word | Unread]:
    for where, line in _lines(path):
        numbers, marks, text = line.partition("####")
        points = _points(numbers.rstrip(", ").split(","))
        if not marks or points is None or len(points) != 14:
            yield Unread(where, "expected 28 integers, #### and a text")
        else:
            yield Word(points, text, ignored=text.strip() == "###")


def _ctw_training(path: Path) -> Iterator[Word | Unread]:
    root = read_xml(path)
    if isinstance(root, str):
        yield Unread("file", root)
        return
    for number, box in enumerate(root.iter("box"), start=1):
        text = _child(box, "label")
        points = _points(_child(box, "segs").split(","))
        if points is None or len(points) != 14:
            yield Unread(f"box {number}", "expected a label and segs of 28 integers")
        else:
            yield Word(points, text, ignored=text.strip() == "###")


LAYOUTS: dict[str, Reader] = {
    "icdar2013": icdar2013,
    "icdar2015": icdar2015,
    "sroie": sroie,
    "total_text": total_text,
    "ctw1500": ctw1500,
}


def _child(element: ElementTree.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _text(path: Path) -> str:
    """A label file's text; the sets mix UTF-8 (with and without a mark) and Latin-1."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            yield f"line {number}", line.strip("\r")


def _points(numbers: list[str]) -> tuple[Point, ...] | None:
    """Alternating x and y as integers; None where they are not."""
    if len(numbers) % 2 or not all(re.fullmatch(r"\s*-?[0-9]{1,6}\s*", number) for number in numbers):
        return None
    values = [float(number) for number in numbers]
    return tuple(zip(values[::2], values[1::2], strict=True))
