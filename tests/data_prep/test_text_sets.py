"""Public text detection sets in the formats their owners publish, faults included: every record accounted for."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data_prep.configs import read, with_overrides
from data_prep.registry import request
from data_prep.text_sets.layouts import LAYOUTS, Unread, Word
from ntil.data.example import Example, read_examples, read_manifest
from ntil.errors import UserError

SQUARE = "10,10,50,10,50,30,10,30"


def jpeg(path: Path, size: tuple[int, int] = (100, 60), **save: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "grey").save(path, format="JPEG", **save)


def text(path: Path, content: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode(encoding))


def build(
    name: str, raw: Path, out: Path, **changes: object
) -> tuple[dict[str, list[Example]], dict[str, Any]]:
    """(examples by split, manifest)."""
    folder = request(with_overrides(read(name), [("raw", str(raw)), ("val", 0), *changes.items()])).build(
        out, 1
    )
    manifest = read_manifest(folder)
    return {split: read_examples(folder, split) for split in manifest["counts"]}, manifest


def skips(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    return [(skip["what"], skip["why"]) for skip in manifest["skipped"]]


def read_all(layout: str, path: Path) -> list[Word | Unread]:
    return list(LAYOUTS[layout](path))


def test_icdar2015(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    labels = raw / "ch4_training_localization_transcription_gt"
    lines = [
        f"{SQUARE},Genaxis, Theatre",
        f"{SQUARE},###",
        "10,10,50,30,50,10,10,30,bow",
        "5,5,5,5,5,5,5,5,dot",
        "",
    ]
    text(labels / "gt_img_1.txt", "\ufeff" + "\r\n".join(lines))
    text(labels / "gt_img_3.txt", SQUARE + ",lonely")
    text(labels / "gt_img_4.txt", f"{SQUARE},known\n1,2,3,oops\n")
    jpeg(raw / "ch4_training_images" / "img_4.jpg")
    jpeg(raw / "ch4_training_images" / "img_1.jpg")
    jpeg(raw / "ch4_training_images" / "img_2.jpg")
    jpeg(raw / "ch4_test_images" / "img_9.jpg")
    text(raw / "Challenge4_Test_Task1_GT" / "gt_img_9.txt", "\ufeff" + SQUARE + ",")
    examples, manifest = build("icdar2015", raw, tmp_path / "out")
    (first,) = examples["train"]
    assert first.target["texts"] == ["Genaxis, Theatre", "###", "bow"]
    assert first.target["ignored"] == [False, True, True]
    assert first.target["polygons"][0] == [[10, 10], [50, 10], [50, 30], [10, 30]]
    assert (first.target["width"], first.target["height"]) == (100, 60)
    assert first.meta["words_without_area"] == 1
    assert examples["test"][0].target["texts"] == [""]
    labels_of = "ch4_training_localization_transcription_gt"
    assert skips(manifest) == [
        (f"{labels_of}/gt_img_1.txt, 'bow'", "its outline crosses itself; kept as an ignored region"),
        (f"{labels_of}/gt_img_1.txt, 'dot'", "its outline has no area"),
        ("ch4_training_images/img_2.jpg", "its label file is missing"),
        (f"{labels_of}/gt_img_3.txt", "its picture is missing"),
        (
            f"ch4_training_images/img_4.jpg ({labels_of}/gt_img_4.txt, line 2: expected eight integers and a text)",
            "a line of its label file cannot be read, so not all its text is known",
        ),
    ]


def test_icdar2013(tmp_path: Path) -> None:
    path = tmp_path / "gt_1.txt"
    text(path, '158 128 411 181 "Footpath"\n38, 43, 920, 215, "Tired, "so""\n38, 43, 920\n')
    words = read_all("icdar2013", path)
    assert words[0] == Word(((158, 128), (411, 128), (411, 181), (158, 181)), "Footpath")
    assert words[1].text == 'Tired, "so"'
    assert words[2] == Unread("line 3", "expected four integers and a text in quotes")


def test_total_text_records_may_wrap(tmp_path: Path) -> None:
    path = tmp_path / "poly_gt_img11.txt"
    text(
        path,
        "x: [[259 313 389\n 427]], y: [[542 462 417 459]], ornt: [u'c'], transcriptions: [u'PAUL']\n"
        "x: [[1 2 3]], y: [[4 5 6]], ornt: [u'#'], transcriptions: [u'#']\n"
        "x: [[1 2 3]], y: [[4 5]], ornt: [u'h'], transcriptions: [u'short']\n"
        "x: [[7 8 9]], y: [[1 2 1]], ornt: [u'h'], transcriptions: [u\"it's\"]\n"
        "x: [[__import__('os')]], y: [[1]], ornt: [u'h'], transcriptions: [u'code']\n",
    )
    words = read_all("total_text", path)
    assert words[0] == Word(((259, 542), (313, 462), (389, 417), (427, 459)), "PAUL")
    assert (words[1].text, words[1].ignored) == ("#", True)
    assert isinstance(words[2], Unread)
    assert words[3].text == "it's"
    assert words[4] == Unread("record 5", "expected x, y (as many of each), ornt and transcriptions")
    assert len(words) == 5


CURVE = (
    ",".join(str(v) for x in range(7) for v in (x * 10, 10))
    + ","
    + ",".join(str(v) for x in reversed(range(7)) for v in (x * 10, 30))
)


def test_ctw1500(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    jpeg(raw / "train_images" / "0001.jpg")
    jpeg(raw / "test_images" / "1001.jpg")
    box = "<box height='1' left='1' top='1' width='1'><label>{}</label><segs>{}</segs><pts>1,2</pts></box>"
    boxes = [box.format("CAFÉ &amp; BAR", CURVE), box.format("###", CURVE), box.format("x", "1,2,9,2,9,9")]
    text(
        raw / "ctw1500_train_labels" / "0001.xml",
        f"<Annotations><image file='0001.jpg'>{''.join(boxes)}</image></Annotations>",
    )
    text(
        raw / "gt_ctw1500" / "0001001.txt", f"{CURVE},####GRAND, HOTEL\n{CURVE},#######\n1,2,9,2,9,9,####x\n"
    )
    examples, manifest = build("ctw1500", raw, tmp_path / "out")
    (train,), (test,) = examples["train"], examples["test"]
    assert (train.target["texts"], train.target["ignored"]) == (
        ["CAFÉ & BAR", "###", ""],
        [False, True, True],
    )
    assert (test.target["texts"], test.target["ignored"]) == (
        ["GRAND, HOTEL", "###", ""],
        [False, True, True],
    )
    assert [len(outline) for outline in train.target["polygons"]] == [14, 14, 3]
    assert [what for what, _ in skips(manifest)] == [
        "ctw1500_train_labels/0001.xml, box 3",
        "gt_ctw1500/0001001.txt, line 3",
    ]


def test_xml_with_entities_is_not_read(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><Annotations>&b;</Annotations>'
    for encoding in ("utf-8", "utf-16"):
        text(tmp_path / "0001.xml", bomb, encoding)
        (unread,) = read_all("ctw1500", tmp_path / "0001.xml")
        assert isinstance(unread, Unread)
        assert unread.why.startswith("its XML declares entities or a document type")
    text(tmp_path / "0001.xml", "<a><b></a>")
    (broken,) = read_all("ctw1500", tmp_path / "0001.xml")
    assert isinstance(broken, Unread)
    assert broken.why.startswith("broken XML")


def test_sroie_and_resizing(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for part in ("train", "test"):
        jpeg(raw / part / "X1.jpg")
        text(raw / part / "X1.txt", f"{SQUARE},TAN, WOON\n{SQUARE},###\n", "latin-1")
    examples, _ = build("sroie", raw, tmp_path / "out", size=50)
    (train,) = examples["train"]
    assert train.target["ignored"] == [False, False]  # receipts mark nothing as illegible
    assert train.target["polygons"][0] == [[5, 8.33], [25, 8.33], [25, 25], [5, 25]]
    assert (train.target["width"], train.target["height"]) == (50, 50)


def test_outlines_are_cut_to_the_frame_and_turned_files_stay_as_annotated(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90°": annotations speak of the stored pixels
    for part in ("train", "test"):
        jpeg(raw / part / "a.jpg", exif=exif)
        text(raw / part / "a.txt", "90,50,140,50,140,90,90,90,edge\n200,10,210,10,210,20,200,20,outside\n")
    examples, _ = build("sroie", raw, tmp_path / "out")
    (train,) = examples["train"]
    assert train.target["polygons"] == [[[90, 50], [100, 50], [100, 60], [90, 60]]]
    assert train.meta["words_without_area"] == 1
    assert train.image is not None
    with Image.open(io.BytesIO((tmp_path / "out" / train.image).read_bytes())) as stored:
        assert stored.size == (100, 60)
        assert stored.getexif().get(0x0112, 1) == 1


def test_broken_pictures_and_missing_folders_are_named(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    with pytest.raises(UserError, match="owners of sroie publish it at https"):
        build("sroie", raw, tmp_path / "out")
    for part in ("train", "test"):
        jpeg(raw / part / "good.jpg")
        text(raw / part / "good.txt", SQUARE + ",x")
        text(raw / part / "bad.jpg", "no picture")
        text(raw / part / "bad.txt", SQUARE + ",x")
    _, manifest = build("sroie", raw, tmp_path / "out")
    assert skips(manifest) == [
        (f"{part}/bad.jpg", "unreadable picture (UnidentifiedImageError)") for part in ("train", "test")
    ]


def test_validation_is_taken_from_the_end_of_training(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for part, count in (("train", 5), ("test", 1)):
        for number in range(count):
            jpeg(raw / part / f"{number}.jpg")
            text(raw / part / f"{number}.txt", SQUARE + ",x")
    examples, _ = build("sroie", raw, tmp_path / "out", val=2)
    assert {split: [e.meta["source"] for e in found] for split, found in examples.items()} == {
        "train": ["train/0.jpg", "train/1.jpg", "train/2.jpg"],
        "val": ["train/3.jpg", "train/4.jpg"],
        "test": ["test/0.jpg"],
    }
