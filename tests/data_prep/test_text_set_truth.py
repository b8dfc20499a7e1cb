"""Truth that could not be read is not empty truth: what each kind of fault in a label file does to its picture."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data_prep.configs import read, with_overrides
from data_prep.registry import request
from data_prep.text_sets.layouts import LAYOUTS, Unread, Word
from ntil.data.example import Example, read_examples, read_manifest
from ntil.errors import UserError
from tasks.text_detection import TextDetectionTask

CURVE = (
    ",".join(f"{x * 10},10" for x in range(7)) + "," + ",".join(f"{x * 10},30" for x in reversed(range(7)))
)
GOOD = {  # a label file of one word
    "icdar2013": '10, 10, 50, 30, "one"',
    "icdar2015": "10,10,50,10,50,30,10,30,one",
    "sroie": "10,10,50,10,50,30,10,30,one",
    "total_text": "x: [[10 50 50 10]], y: [[10 10 30 30]], ornt: [u'h'], transcriptions: [u'one']",
    "ctw1500": f"{CURVE},####one",
}
NO_OUTLINE = {  # nobody can tell where the word is
    "icdar2013": ['10, 10, 50, "x"', 'nan 1 2 3 "x"', '1e400 1 2 3 "x"', '9999999 1 2 3 "x"', '"x"'],
    "icdar2015": ["1,2,3,oops", "10,10,50,10,50,30,10,x,one", "nan,10,50,10,50,30,10,30,one", ",,,,,,,,"],
    "sroie": ["10,10,50,10,50,30,10", "inf,10,50,10,50,30,10,30,one", "1e400,10,50,10,50,30,10,30,one", "{"],
    "total_text": [
        "x: [[1 2 3]], y: [[4 5]], ornt: [u'h'], transcriptions: [u'x']",
        "x: [[]], y: [[]], ornt: [u'h'], transcriptions: [u'x']",
        "x: [[1 nan 3]], y: [[4 5 6]], ornt: [u'h'], transcriptions: [u'x']",
        "no record at all",
        "y: [[10 10 30 30]], ornt: [u'h'], transcriptions: [u'x']",
    ],
    "ctw1500": ["1,2,####x", f"{CURVE},5,####x", f"nan{CURVE[1:]},####x", "####x", CURVE[:-1] + "x,####x"],
}
OUTLINE_ONLY = {  # the word's place is known, its text, which may be an ignore mark, is not
    "icdar2013": ["10, 10, 50, 30, x", "10 10 50 30", '10 10 50 30 9 "x"', '10 10 50 30 "'],
    "icdar2015": ["10,10,50,10,50,30,10,30"],
    "total_text": [
        "x: [[10 50 50 10]], y: [[10 10 30 30]], ornt: [u'h']",
        "x: [[10 50 50 10]], y: [[10 10 30 30]] transcriptions",
    ],
    "ctw1500": [CURVE, "10,10,50,10,50,30,10,30,####x", f"{CURVE},1,2,####x"],
}
FAULTS = [(name, line) for name, many in NO_OUTLINE.items() for line in many if line]
HALF_FAULTS = [(name, line) for name, many in OUTLINE_ONLY.items() for line in many]


class Small:
    """A set of one training split in `images` and `labels`."""

    def __init__(self, root: Path, name: str) -> None:
        self.raw, self.out, self.name = root / "raw", root / "out", name
        (self.raw / "images").mkdir(parents=True)
        (self.raw / "labels").mkdir()

    def add(self, name: str, label: str | bytes | None, size: tuple[int, int] = (100, 60)) -> None:
        Image.new("RGB", size, "grey").save(self.raw / "images" / f"{name}.png")
        if label is not None:
            content = label.encode() if isinstance(label, str) else label
            (self.raw / "labels" / f"{name}.txt").write_bytes(content)

    def build(self, **changes: object) -> tuple[dict[str, Example], list[tuple[str, str]]]:
        """(records by picture's name, what was skipped)."""
        parts = {"train": {"images": "images", "labels": "labels/{id}.txt"}}
        overrides = [("raw", str(self.raw)), ("val", 0), ("parts", parts), *changes.items()]
        folder = request(with_overrides(read(self.name), overrides)).build(self.out, 1)
        skipped: list[dict[str, Any]] = read_manifest(folder)["skipped"]
        examples = {Path(e.meta["source"]).stem: e for e in read_examples(folder, "train")}
        return examples, [(skip["what"], skip["why"]) for skip in skipped]


@pytest.mark.parametrize(("name", "line"), FAULTS)
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_word_of_unknown_place_leaves_its_picture_out(
    tmp_path: Path, name: str, line: str, place: str
) -> None:
    small = Small(tmp_path, name)
    small.add("good", GOOD[name])
    small.add("bad", f"{line}\n{GOOD[name]}" if place == "before" else f"{GOOD[name]}\n{line}")
    examples, skipped = small.build()
    assert list(examples) == ["good"]
    ((what, why),) = skipped
    assert what.startswith("images/bad.png (labels/bad.txt, ")
    assert why == "a line of its label file cannot be read, so not all its text is known"


@pytest.mark.parametrize(("name", "line"), HALF_FAULTS)
def test_a_word_of_unknown_text_is_an_ignored_region(tmp_path: Path, name: str, line: str) -> None:
    small = Small(tmp_path, name)
    small.add("a", f"{GOOD[name]}\n{line}\n")
    examples, skipped = small.build()
    assert examples["a"].target["ignored"] == [False, True]
    assert examples["a"].target["texts"] == ["one", ""]
    ((what, why),) = skipped
    assert what.startswith("labels/a.txt, ")
    assert why.endswith("; kept as an ignored region")


def test_sroie_ignores_nothing_and_needs_no_text(tmp_path: Path) -> None:
    small = Small(tmp_path, "sroie")
    small.add("a", "10,10,50,10,50,30,10,30\n10,40,50,40,50,50,10,50,###")
    examples, skipped = small.build()
    assert examples["a"].target["ignored"] == [False, False]
    assert skipped == []


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("label", [None, b"\x00\x01\xff", GOOD["sroie"].encode("utf-16")[:-1], "missing"])
def test_a_label_file_that_is_missing_or_no_text_leaves_its_picture_out(
    tmp_path: Path, name: str, label: bytes | str | None
) -> None:
    small = Small(tmp_path, name)
    small.add("good", GOOD[name])
    small.add("bad", None if label == "missing" else label)
    examples, ((what, why),) = small.build()
    assert list(examples) == ["good"]
    assert what.startswith("images/bad.png")
    assert why in ("its label file is missing", "its label file cannot be read")


@pytest.mark.parametrize("broken", ["", "<a><b></a>", "no XML", "<!DOCTYPE a><a/>"])
def test_broken_xml_leaves_its_picture_out(tmp_path: Path, broken: str) -> None:
    """And never trains it to answer that there is no text."""
    good = f"<a><image><box><label>OK</label><segs>{CURVE}</segs></box></image></a>"
    for stem, content in (("1", broken), ("2", good)):
        Image.new("RGB", (100, 60)).save(tmp_path / f"{stem}.png")
        (tmp_path / f"{stem}.xml").write_text(content)
    parts = {"train": {"images": ".", "labels": "{id}.xml"}}
    data = with_overrides(read("ctw1500"), [("raw", str(tmp_path)), ("val", 0), ("parts", parts)])
    folder = request(data).build(tmp_path / "out", 1)
    (example,) = read_examples(folder, "train")
    assert example.meta["source"] == "2.png"
    assert TextDetectionTask().answer(example) != "none"
    (skip,) = read_manifest(folder)["skipped"]
    assert skip["what"].startswith("1.png (1.xml: ")
    assert skip["why"] == "its label file cannot be read"


@pytest.mark.parametrize("empty", [b"", b"\xef\xbb\xbf", b"\r\n \n", b"\xff\xfe"])
@pytest.mark.parametrize("name", GOOD)
def test_an_empty_label_file_means_no_text_in_icdar_alone(tmp_path: Path, name: str, empty: bytes) -> None:
    small = Small(tmp_path, name)
    small.add("good", GOOD[name])
    small.add("empty", empty)
    examples, skipped = small.build()
    if name.startswith("icdar"):
        assert examples["empty"].target["polygons"] == []
        assert TextDetectionTask().answer(examples["empty"]) == "none"
        assert skipped == []
    else:
        assert skipped == [
            ("images/empty.png", "its label file is empty, and every picture of this set has text")
        ]


@pytest.mark.parametrize("name", GOOD)
def test_a_set_of_which_nothing_is_left_is_an_error(tmp_path: Path, name: str) -> None:
    small = Small(tmp_path, name)
    small.add("bad", NO_OUTLINE[name][0])
    with pytest.raises(UserError, match="no usable record"):
        small.build()
    assert not small.out.exists()


@pytest.mark.parametrize(
    ("outline", "region"),
    [
        ("10,10,50,30,50,10,10,30", "hull"),  # crosses itself
        ("10,10,10,10,50,30,50,30", None),  # a line, drawn twice
        ("5,5,5,5,5,5,5,5", None),
        ("10,10,10.5,10,10.5,10.5,10,10.5", None),
        ("-5,-5,20,-5,20,20,-5,20", "cut"),
        ("200,10,240,10,240,20,200,20", None),  # outside
    ],
)
def test_outlines(tmp_path: Path, outline: str, region: str | None) -> None:
    small = Small(tmp_path, "icdar2015")
    small.add("a", f"{GOOD['icdar2015']}\n{outline},word")
    examples, _ = small.build()
    target, meta = examples["a"].target, examples["a"].meta
    assert len(target["polygons"]) == (1 if region is None else 2)
    assert meta["words_without_area"] == (1 if region is None else 0)
    if region is not None:
        assert target["ignored"][1] is (region == "hull")
        assert all(0 <= x <= 100 and 0 <= y <= 60 for x, y in target["polygons"][1])


@pytest.mark.parametrize("outline", ["5,5,5,5,5,5,5,5", "200,10,240,10,240,20,200,20"])
def test_text_without_any_region_is_not_a_picture_without_text(tmp_path: Path, outline: str) -> None:
    small = Small(tmp_path, "icdar2015")
    small.add("good", GOOD["icdar2015"])
    small.add("bad", f"{outline},word")
    examples, skipped = small.build()
    assert list(examples) == ["good"]
    assert skipped[-1][0] == "images/bad.png"


def test_outlines_of_another_frame_leave_the_picture_out(tmp_path: Path) -> None:
    """Most lie outside: the annotation speaks of a picture of another size or orientation."""
    far = "10,{0},50,{0},50,90,10,90,far"
    small = Small(tmp_path, "icdar2015")
    small.add("good", f"{GOOD['icdar2015']}\n{far.format(70)}")
    small.add("bad", "\n".join((GOOD["icdar2015"], far.format(70), far.format(80))))
    examples, skipped = small.build()
    assert list(examples) == ["good"]
    assert skipped == [
        ("images/bad.png", "most of its words lie outside it: they speak of another size or orientation")
    ]


def test_two_points_are_an_ignored_box(tmp_path: Path) -> None:
    small = Small(tmp_path, "total_text")
    two = "x: [[{}]], y: [[{}]], ornt: [u'h'], transcriptions: [u'x']"
    small.add(
        "a", "\n".join((GOOD["total_text"], two.format("20 60", "40 50"), two.format("20 60", "40 40")))
    )
    examples, skipped = small.build()
    target = examples["a"].target
    assert target["ignored"] == [False, True]
    assert sorted(map(tuple, target["polygons"][1])) == [(20, 40), (20, 50), (60, 40), (60, 50)]
    assert [why for _, why in skipped] == [
        "its outline has two points; kept as an ignored region",
        "its outline has no area",
    ]


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_change_nothing(tmp_path: Path, name: str, encoding: str, end: str) -> None:
    said = GOOD[name].replace("one", "CAFÉ, 8½")
    path = tmp_path / "a.txt"
    path.write_bytes(f"{said}{end}{end}{said}  {end}".encode(encoding))
    words = list(LAYOUTS[name](path))
    assert [word.text.strip() for word in words if isinstance(word, Word)] == ["CAFÉ, 8½", "CAFÉ, 8½"]
    assert len(words) == 2


@pytest.mark.parametrize(
    ("name", "line", "points"),
    [
        ("icdar2013", '-5 1.5 50 +30 "a, "b" c"', ((-5, 1.5), (50, 1.5), (50, 30), (-5, 30))),
        ("icdar2013", '-5,1.5,50,30,"x",', ((-5, 1.5), (50, 1.5), (50, 30), (-5, 30))),
        ("icdar2015", " -5, 1.5 ,50,1e1,50.,30,.5,30,a, b,", ((-5, 1.5), (50, 10), (50, 30), (0.5, 30))),
        ("sroie", "-5,\x1c1.5,50,10,50,30,0,30,", ((-5, 1.5), (50, 10), (50, 30), (0, 30))),
        (
            "total_text",
            "x: [[-5, 1.5 50.]], y: [[ 1  2\n 3 ]], ornt: ['m'], transcriptions: ['x']",
            ((-5, 1), (1.5, 2), (50, 3)),
        ),
    ],
)
def test_negative_and_decimal_coordinates(
    tmp_path: Path, name: str, line: str, points: tuple[tuple[float, float], ...]
) -> None:
    (tmp_path / "a.txt").write_text(line)
    (word,) = LAYOUTS[name](tmp_path / "a.txt")
    assert isinstance(word, Word)
    assert word.points == points


def test_unread_parts_say_where(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"\n{GOOD['sroie']}\n\n1,2\n")
    assert list(LAYOUTS["sroie"](tmp_path / "a.txt"))[1] == Unread(
        "line 4", "expected eight integers and a text"
    )
