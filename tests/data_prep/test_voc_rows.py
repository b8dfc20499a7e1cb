"""VOC's folders and RefCOCO's references as people have them: one odd file or row is one skipped record."""

import contextlib
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data_prep.detection.unpickle import read_plain_pickle
from ntil.data.example import read_examples
from ntil.data.pictures import open_image
from ntil.errors import UserError
from tests.data_prep.detection_sets import (
    BBOX,
    annotation,
    build,
    instances,
    picture,
    ref,
    refcoco,
    thing,
    voc,
)


@pytest.mark.parametrize(
    ("file", "stated"),
    [
        ("a.jpg", "a.jpg"),
        ("a.png", "a.png"),
        ("a.jpg", "a.png"),  # the annotation is wrong about the ending
        ("a.png", "a.jpg"),
        ("a.JPEG", ""),
        ("a.bmp", "C:\\photos\\a.bmp"),
        ("other.png", "other.png"),
        ("other.png", "/home/x/other.png"),
        ("other.png", "other.jpg"),
    ],
)
def test_a_picture_with_another_ending_or_name(file: str, stated: str, tmp_path: Path) -> None:
    picture(tmp_path / "raw/JPEGImages" / file)
    xml = annotation(more=f"<filename>{stated}</filename>")
    (example,), skipped = voc(tmp_path / "raw", {"a": xml})
    assert (example.meta["source"], skipped) == (f"JPEGImages/{file}", {})


def test_a_stated_file_that_is_another_annotation_s_is_not_taken(tmp_path: Path) -> None:
    picture(tmp_path / "raw/JPEGImages/a.jpg")
    xml = annotation(more="<filename>a.jpg</filename>")
    examples, skipped = voc(tmp_path / "raw", {"a": xml, "b": xml})
    assert [e.meta["source"] for e in examples] == ["JPEGImages/a.jpg"]
    assert skipped == {"b": "the picture is missing"}


@pytest.mark.parametrize(
    "name", ["my photo", "photo 1", "photo -1", "a.b.c", "é", "x&y", "2007/a", "photo.jpg"]
)
@pytest.mark.parametrize("column", ["", " 1", "  1", " -1", "\t0", "\r", ".jpg"])
def test_names_with_blanks_and_lists_with_a_column(name: str, column: str, tmp_path: Path) -> None:
    picture(tmp_path / f"raw/JPEGImages/{name}.jpg")
    (tmp_path / f"raw/Annotations/{name}").parent.mkdir(parents=True)
    (example,), skipped = voc(tmp_path / "raw", {name: annotation()}, f"{name}{column}\n")
    assert (example.meta["source"], skipped) == (f"JPEGImages/{name}.jpg", {})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_lists_in_other_encodings_and_with_other_ends(encoding: str, tmp_path: Path) -> None:
    for name in ("é", "b"):
        picture(tmp_path / f"raw/JPEGImages/{name}.jpg")
    listed = "é\r\n\r\nb\r\nb\r\n".encode(encoding)
    examples, skipped = voc(tmp_path / "raw", {"é": annotation(), "b": annotation()}, listed)
    assert ([e.id for e in examples], skipped) == (["test-é-0", "test-b-0"], {"b": "listed twice"})


ODD_OBJECTS = {
    "without a name": [thing(""), thing("  "), "<object/>"],
    "its box cannot be read": [
        thing("dog", (1, 2, 3, value))
        for value in ("", "x", "nan", "inf", "1e400", "9" * 500, "<a/>", "1,5", "1_0", "\u0661")
    ]
    + ["<object><name>dog</name></object>"],
    "its box has no area": [thing("dog", (5, 5, 5, 9)), thing("dog", (5, 9, 8, 9))],
}


@pytest.mark.parametrize(("why", "odd"), [(why, odd) for why, odds in ODD_OBJECTS.items() for odd in odds])
def test_one_odd_object_is_one_skipped_record(why: str, odd: str, tmp_path: Path) -> None:
    picture(tmp_path / "raw/JPEGImages/a.jpg")
    (example,), skipped = voc(tmp_path / "raw", {"a": annotation(odd, thing("cat"))})
    assert (example.query, skipped) == ("cat", {"a, object 1": why})


ODD_FILES = [b"", b"junk", b"<annotation>", b"\xff\xfe", b"\x00" * 9, b"<a>" * 50_000, annotation()[:-5].encode(),
             b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"<annotation></annotation>", b"x" * 17_000_000]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_FILES, ids=lambda content: repr(content[:12]))
def test_one_odd_file_is_one_skipped_record(odd: bytes, tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / f"raw/JPEGImages/{name}.jpg")
    (example,), skipped = voc(tmp_path / "raw", {"a": odd, "b": annotation()})
    assert (example.meta["source"], list(skipped)) == ("JPEGImages/b.jpg", ["a"])


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "name\0x", "l" * 5000, "nowhere", ".", "..", "sub"])
def test_one_odd_name_is_one_skipped_record(name: str, tmp_path: Path) -> None:
    picture(tmp_path / "raw/JPEGImages/a.jpg")
    (tmp_path / "raw/Annotations/sub.xml").mkdir(parents=True)
    (example,), skipped = voc(tmp_path / "raw", {"a": annotation()}, f"{name}\na\n")
    assert (example.id, list(skipped)) == ("test-a-0", [name])


@pytest.mark.parametrize(
    ("mode", "asked"), [("single", ["dog"]), ("largest", ["dog"]), ("all", ["cat", "dog"])]
)
def test_difficult_objects_are_ignored_regions(mode: str, asked: list[str], tmp_path: Path) -> None:
    picture(tmp_path / "raw/JPEGImages/a.jpg")
    hard = "<difficult>1</difficult>"
    xml = annotation(
        thing("cat"), thing("cat", (40, 10, 90, 30), hard), thing("dog", more="<difficult>0</difficult>"),
        thing("cow", more=hard),
    )  # fmt: skip
    examples, skipped = voc(tmp_path / "raw", {"a": xml}, mode=mode)
    assert ([e.query for e in examples], skipped) == (asked, {})
    for example in examples:  # what lies outside of the picture is cut
        assert example.target.get("ignored") == ([[40, 10, 60, 30]] if example.query == "cat" else None)


def test_records_without_regions_to_ignore_have_no_key_for_them(tmp_path: Path) -> None:
    picture(tmp_path / "raw/JPEGImages/a.jpg")
    (example,), _ = voc(tmp_path / "raw", {"a": annotation()}, mode="all")
    assert set(example.target) == {"boxes", "width", "height"}


def test_regions_to_ignore_go_along_with_crops(tmp_path: Path) -> None:
    """In every crop the region covers those of its own pixels that the crop holds."""
    pixels = np.full((40, 60, 3), 240, np.uint8)
    pixels[5:15, 40:55] = (255, 0, 0)
    raw = tmp_path / "raw"
    picture(raw / "JPEGImages/a.jpg").unlink()
    Image.fromarray(pixels).save(raw / "JPEGImages/a.jpg", "PNG")
    xml = annotation(
        thing("WBC", (10, 20, 25, 35)), thing("WBC", (40, 5, 55, 15), "<difficult>1</difficult>")
    )
    examples, _ = voc_crops(raw, xml, mode="all")
    cut = 0
    for example in examples:
        seen = np.asarray(open_image(tmp_path / "out" / str(example.image))).astype(int)
        expected = seen[..., 0] - seen[..., 1] > 100
        covered = np.zeros(expected.shape, bool)
        for x1, y1, x2, y2 in example.target.get("ignored", ()):
            covered[round(y1) : round(y2), round(x1) : round(x2)] = True
        np.testing.assert_array_equal(covered, expected)
        cut += int(expected.sum() < 150)
    assert 0 < cut < 20


def test_crops_of_several_expressions_are_pictures_of_their_own(tmp_path: Path) -> None:
    """The crop of the cat is no crop of the dog, although both are copy 1 of one photo."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    raw = tmp_path / "raw"
    picture(raw / "JPEGImages/a.jpg").unlink()
    Image.fromarray(noise).save(raw / "JPEGImages/a.jpg", "PNG")
    xml = annotation(thing("cat", (2, 2, 12, 12)), thing("dog", (40, 20, 55, 35)))
    examples, skipped = voc_crops(raw, xml, mode="single", only=[])
    assert (len(examples), len({e.id for e in examples}), len({e.image for e in examples})) == (40, 40, 39)
    assert skipped == {}
    for example in examples:
        x1, y1, x2, y2 = (round(value) for value in example.target["boxes"][0])
        pixels = np.asarray(open_image(tmp_path / "out" / str(example.image)))[y1:y2, x1:x2]
        expected = noise[2:12, 2:12] if example.query == "cat" else noise[20:35, 40:55]
        assert (pixels == expected).all() or (pixels[:, ::-1] == expected).all()


def voc_crops(raw: Path, xml: str, **changes: Any) -> Any:
    for folder in ("Annotations", "ImageSets/Main"):
        (raw / folder).mkdir(parents=True)
    (raw / "Annotations/a.xml").write_text(xml)
    (raw / "ImageSets/Main/train.txt").write_text("a")
    return build("bccd", raw, splits_from={"train": "train"}, size=None, copies=20, names={}, **changes)


def test_a_link_to_the_folders_of_a_set(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / f"elsewhere/JPEGImages/{name}.jpg")
    (tmp_path / "raw").mkdir()
    (tmp_path / "elsewhere/Annotations").mkdir()
    (tmp_path / "secret.xml").write_text(annotation())
    for folder in ("JPEGImages", "Annotations"):
        (tmp_path / "raw" / folder).symlink_to(tmp_path / "elsewhere" / folder, target_is_directory=True)
    (tmp_path / "elsewhere/Annotations/b.xml").symlink_to(tmp_path / "secret.xml")
    examples, skipped = voc(tmp_path / "raw", {"a": annotation()}, "a\nb\n")
    assert [e.id for e in examples] == ["test-a-0"]
    assert skipped == {"b": "its name leads outside the folder"}


TENT = instances({"id": 1, "file_name": "a.jpg"}, annotations=[
    {"id": 1, "image_id": 1, "category_id": 1, "bbox": BBOX},
    {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 1, 0, 0]},
    {"id": 3, "image_id": 1, "category_id": 1, "bbox": BBOX},
    {"id": 3, "image_id": 1, "category_id": 1, "bbox": [9, 9, 9, 9]},
    {"id": "x-4", "image_id": 1, "category_id": 1, "bbox": BBOX},
    None, {}, {"id": [], "image_id": 1, "category_id": 1, "bbox": BBOX},
])  # fmt: skip
GOOD = ref(1, 1)
ODD_REFS: list[Any] = [
    None, 7, "x", [], {}, ref(2, 2), ref(2, 3), ref(2, 9), ref(2, None), ref(2, [1]), ref(None, 1), ref([], 1),
    ref(2, 1, None), ref(2, 1, "../x"), ref(2, 1, ""), ref(2, 1, "x" * 300), ref(2, 1, "train", None), ref(2, 1, "train", " "),
    ref(2, 1, "train", 7), {**GOOD, "sentences": None}, {**GOOD, "sentences": "abc"}, {**GOOD, "sentences": [None]},
    {**GOOD, "ref_id": True}, {**GOOD, "split": 3},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_REFS, ids=lambda row: repr(row)[:60])
def test_one_odd_reference_is_one_skipped_record(odd: Any, tmp_path: Path) -> None:
    picture(tmp_path / "raw/train2014/a.jpg")
    (example,), skipped = refcoco(tmp_path / "raw", TENT, [odd, GOOD])
    assert (example.id, len(skipped)) == ("train-1-0", 1)
    assert next(iter(skipped)).startswith("reference 0")


@pytest.mark.parametrize("ref_id", [7, "r-7", 7.0, "007"])
@pytest.mark.parametrize("ann_id", [1, "1", 1.0, "x-4"])
def test_references_with_ids_of_any_type(ref_id: Any, ann_id: Any, tmp_path: Path) -> None:
    picture(tmp_path / "raw/train2014/a.jpg")
    (example,), skipped = refcoco(tmp_path / "raw", TENT, [ref(ref_id, ann_id)])
    assert (example.target["boxes"], skipped) == ([[5, 5, 25, 25]], {})


def test_references_of_one_id_stay_apart(tmp_path: Path) -> None:
    picture(tmp_path / "raw/train2014/a.jpg")
    rows = [
        ref(1, 1),
        ref("1", 1, "train", "another"),
        {**ref(1, 1), "sentences": [{"sent": "third"}, {"sent": "fourth"}]},
    ]
    examples, skipped = refcoco(tmp_path / "raw", TENT, rows)
    assert skipped == {}
    assert {e.id: e.query for e in examples} == {
        "train-1-0": "the tent", "train-1-0-2": "another", "train-1-s0": "third", "train-1-s1": "fourth"
    }  # fmt: skip


def test_a_missing_split_names_those_that_are_there(tmp_path: Path) -> None:
    picture(tmp_path / "raw/train2014/a.jpg")
    refcoco(
        tmp_path / "raw",
        TENT,
        [ref(n, 1, split) for n, split in enumerate(("train", "val", "testA", "testB"))],
    )
    with pytest.raises(UserError, match="no records of split 'test'; it has testA, testB, train, val"):
        read_examples(tmp_path / "out", "test")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02]r\xff\xff\xff\x7f.",
        b"(lp2147483647\n.",
        b"\x80\x05\x96" + (2**33).to_bytes(8, "little") + b"a.",
        b"\x80\x04\x95" + (2**40).to_bytes(8, "little") + b"].",
        b"\x80\x04\x8d" + (2**40).to_bytes(8, "little") + b"].",
    ],
)
def test_a_pickle_of_a_few_bytes_takes_no_gigabytes(content: bytes, tmp_path: Path) -> None:
    """They ask for a table of 2³¹ entries, an array of 8 GB, a frame and a text of a terabyte."""
    (tmp_path / "a.p").write_bytes(content)
    tracemalloc.start()
    with contextlib.suppress(UserError):
        assert read_plain_pickle(tmp_path / "a.p") == []
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
