"""How each set writes its words. A reader takes a label file and gives words, and the parts that it could not read.

icdar2013    158 128 411 181 "Footpath"                       training; test: 38, 43, 920, 215, "Tiredness"
icdar2015    377,117,463,117,465,130,378,130,Genaxis, Theatre  four corners; the text may hold commas; ### is ignored
sroie        72,25,326,25,326,64,72,64,TAN WOON YANN          as ICDAR 2015, nothing is ignored; the text may be missing
total_text   x: [[259 313 …]], y: [[542 …]], ornt: [u'c'], transcriptions: [u'PAUL']    may wrap lines; # is ignored
ctw1500      XML in training; 28 integers and ####text in test; ### is ignored

Coordinates are published as integers; decimals and negative ones are read too. The text says whether a word is ignored, so
where it cannot be read only the outline is known.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from data_prep.sources import lines, read_text
from data_prep.xml_files import read_xml

Point = tuple[float, float]
Points = tuple[Point, ...]

FAR = 1e6  # pixels: a coordinate beyond is none


@dataclass(frozen=True)
class Word:
    """A word's outline in pixels of the picture, and what it says."""

    points: Points
    text: str
    ignored: bool = False


@dataclass(frozen=True)
class Unread:
    """A part of a label file that cannot be read: where, why, and its outline in pixels if at least that can."""

    where: str
    why: str
    points: Points = ()


Words = Iterator[Word | Unread]
Reader = Callable[[Path], Words]
WHOLE_FILE = "file"  # Unread.where if nothing of the file can be read
TEXTLESS = ("icdar2013", "icdar2015")  # where an empty label file says that a picture has no text

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_ICDAR13 = re.compile(rf"\s*((?:{_NUMBER}(?:\s*,\s*|\s+|$)){{4}})(.*)", re.DOTALL)
_TOTAL = re.compile(r"x:\s*\[\[(?P<x>[^\]]*)\]\]\s*,\s*y:\s*\[\[(?P<y>[^\]]*)\]\](?P<rest>.*)", re.DOTALL)
_TOTAL_REST = re.compile(
    r"\s*,\s*ornt:\s*\[(?P<ornt>[^\]]*)\]\s*,\s*transcriptions:\s*\[(?P<text>.*)\]\s*,?\s*"
)
# Of another record.
_MORE = re.compile(r"\n\s*(?!ornt:|transcriptions:)\S|transcriptions:.*transcriptions:", re.DOTALL)
_QUOTED = re.compile(r"""u?(['"])(.*)\1""", re.DOTALL)


def icdar2013(text: str) -> Words:
    why = "expected four integers and a text in quotes"
    for where, line in _lines(text):
        match = _ICDAR13.fullmatch(line)
        corners = _points(re.split(r"[\s,]+", match[1].strip(" \t,"))) if match else None
        if match is None or corners is None:
            yield Unread(where, why)
            continue
        (x1, y1), (x2, y2) = corners
        outline, said = ((x1, y1), (x2, y1), (x2, y2), (x1, y2)), match[2].rstrip(" \t,")
        quoted = len(said) >= 2 and said[0] == said[-1] == '"'
        yield Word(outline, said[1:-1]) if quoted else Unread(where, why, outline)


def icdar2015(text: str) -> Words:
    for where, points, said in _corners(text):
        if not points or said is None:
            yield Unread(where, "expected eight integers and a text", points)
        else:
            yield Word(points, said, ignored=said.strip() == "###")


def sroie(text: str) -> Words:
    for where, points, said in _corners(text):
        yield Word(points, said or "") if points else Unread(where, "expected eight integers and a text")


def total_text(text: str) -> Words:
    why = "expected x, y (as many of each), ornt and transcriptions"
    records = re.split(r"(?=\bx:\s*\[\[)", text)
    for number, record in enumerate((r for r in records if r.strip()), start=1):
        match, where = _TOTAL.fullmatch(record.strip()), f"record {number}"
        xs, ys = (_numbers(match[axis].replace(",", " ").split()) for axis in "xy") if match else (None, None)
        if match is None or not xs or not ys or len(xs) != len(ys):
            yield Unread(where, why)
            continue
        if _MORE.search(match["rest"]):
            yield Unread(where, why)
            continue
        points, rest = tuple(zip(xs, ys, strict=True)), _TOTAL_REST.fullmatch(match["rest"])
        if rest is None:
            yield Unread(where, why, points)
            continue
        quoted = _QUOTED.fullmatch(rest["text"].strip())
        said = quoted[2] if quoted else rest["text"].strip()
        yield Word(points, said, ignored=said == "#" or "#" in rest["ornt"])


def ctw1500_test(text: str) -> Words:
    for where, line in _lines(text):
        numbers, marks, said = line.partition("####")
        points = _points(numbers.rstrip(", \t").split(","))
        yield _ctw_word(points, said if marks else None, where, "expected 28 integers, #### and a text")


def ctw1500_training(path: Path) -> Words:
    root = read_xml(path)
    if isinstance(root, str):
        yield Unread(WHOLE_FILE, root)
        return
    for number, box in enumerate(root.iter("box"), start=1):
        points, text = _points((box.findtext("segs") or "").strip(", \t\r\n").split(",")), _label(box)
        yield _ctw_word(points, text, f"box {number}", "expected a label and segs of 28 integers")


def _ctw_word(points: Points | None, text: str | None, where: str, why: str) -> Word | Unread:
    """Another number of points than 14 says roughly where the word is, if there are some."""
    if points is None or text is None or len(points) != 14:
        return Unread(where, why, points if points and len(points) >= 3 else ())
    return Word(points, text, ignored=text.strip() == "###")


def _of(parse: Callable[[str], Words]) -> Reader:
    """The reader of files that hold text."""

    def read(path: Path) -> Words:
        text = read_text(path)
        if text is None:
            yield Unread(WHOLE_FILE, "it holds no text")
        else:
            yield from parse(text)

    return read


def _ctw1500(path: Path) -> Words:
    return ctw1500_training(path) if path.suffix.lower() == ".xml" else _of(ctw1500_test)(path)


LAYOUTS: dict[str, Reader] = {
    "icdar2013": _of(icdar2013),
    "icdar2015": _of(icdar2015),
    "sroie": _of(sroie),
    "total_text": _of(total_text),
    "ctw1500": _ctw1500,
}


def _label(box: ElementTree.Element) -> str | None:
    label = box.find("label")
    return None if label is None else (label.text or "").strip()


def _corners(text: str) -> Iterator[tuple[str, Points, str | None]]:
    """(where, four corners, text) of each line; no corners where they cannot be read, None where there is no text."""
    for where, line in _lines(text):
        fields = line.split(",", 8)
        points = _points(fields[:8]) if len(fields) >= 8 else None
        yield where, points or (), fields[8] if len(fields) == 9 else None


def _lines(text: str) -> Iterator[tuple[str, str]]:
    return ((f"line {number}", line) for number, line in lines(text))


def _points(numbers: Sequence[str]) -> Points | None:
    """Alternating x and y; None where they are not."""
    values = _numbers(numbers)
    return None if values is None or len(values) % 2 else tuple(zip(values[::2], values[1::2], strict=True))


def _numbers(texts: Sequence[str]) -> list[float] | None:
    """Finite coordinates; None if one of the texts is something else."""
    plain = [text.strip() for text in texts]  # strip and float disagree on what is blank
    if not all(re.fullmatch(_NUMBER, text) for text in plain):
        return None
    values = [float(text) for text in plain]
    return values if all(abs(value) < FAR for value in values) else None
