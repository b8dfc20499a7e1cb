"""RefCOCO, COCO and VOC in the formats their owners publish, faults and traps included: every record accounted for."""

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data_prep.configs import read, with_overrides
from data_prep.detection.objects import Expression, Objects, expressions
from data_prep.detection.records import cut
from data_prep.detection.unpickle import read_plain_pickle
from data_prep.registry import request
from ntil.data.example import Example, read_examples, read_manifest
from ntil.errors import UserError


def jpeg(path: Path, size: tuple[int, int] = (100, 60)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([*path.name.encode()])
    Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(path, format="JPEG")


def build(
    name: str, raw: Path, out: Path, **changes: object
) -> tuple[dict[str, list[Example]], dict[str, str]]:
    """(examples by split, what was skipped → why)."""
    folder = request(with_overrides(read(name), [("raw", str(raw)), *changes.items()])).build(out, 1)
    manifest = read_manifest(folder)
    examples = {split: read_examples(folder, split) for split in manifest["counts"]}
    return examples, {skip["what"]: skip["why"] for skip in manifest["skipped"]}


INSTANCES = {
    "images": [
        {"id": 1, "file_name": "COCO_train2014_1.jpg"},
        {"id": 2, "file_name": "COCO_train2014_2.jpg"},
        {"id": 3, "file_name": "../../secret.jpg"},
    ],
    "annotations": [
        {"id": 10, "image_id": 1, "category_id": 7, "bbox": [10, 5, 40, 20]},
        {"id": 11, "image_id": 2, "category_id": 7, "bbox": [0, 0, 10, 10]},
        {"id": 12, "image_id": 1, "category_id": 8, "bbox": [90, 50, 40, 40]},
        {"id": 13, "image_id": 1, "category_id": 8, "bbox": [5, 5, 0, 10]},
        {"id": 14, "image_id": 3, "category_id": 8, "bbox": [5, 5, 9, 9]},
        {"id": 15, "image_id": 1, "category_id": 9, "bbox": [0, 0, 99, 59], "iscrowd": 1},
        {"id": 16, "image_id": 1, "category_id": 9, "bbox": [200, 200, 9, 9]},
    ],
    "categories": [{"id": 7, "name": "dog"}, {"id": 8, "name": "cat"}, {"id": 9, "name": "person"}],
}


def ref(number: int, ann_id: int, split: str, *sentences: str) -> dict[str, Any]:
    said = [
        {"sent_id": number * 10 + i, "sent": s, "raw": s, "tokens": s.split()}
        for i, s in enumerate(sentences)
    ]
    return {
        "ref_id": number,
        "ann_id": ann_id,
        "category_id": 7,
        "image_id": 1,
        "file_name": "x",
        "split": split,
        "sent_ids": [s["sent_id"] for s in said],
        "sentences": said,
    }


def refcoco(raw: Path, refs: Any, protocol: int = 2) -> Path:
    (raw / "refcoco").mkdir(parents=True)
    (raw / "refcoco" / "instances.json").write_text(json.dumps(INSTANCES))
    (raw / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=protocol))
    jpeg(raw / "train2014" / "COCO_train2014_1.jpg")
    return raw


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_refcoco_as_published(tmp_path: Path, protocol: int) -> None:
    refs = [
        ref(1, 10, "train", "the dog", "left dog "),
        ref(2, 10, "testA", "brown, one"),
        ref(3, 11, "val", "lost"),
        ref(4, 13, "train", "flat"),
        ref(5, 99, "train", "nobody"),
        ref(6, 14, "train", "outside"),
        ref(7, 12, "testB", "  ", "cat at the edge"),
        ref(8, 16, "train", "beyond the frame"),
        "no reference",
        {**ref(9, 10, "train", "x"), "split": "../x"},
    ]
    examples, skipped = build("refcoco", refcoco(tmp_path / "raw", refs, protocol), tmp_path / "out")
    assert {split: [e.query for e in found] for split, found in examples.items()} == {
        "train": ["the dog", "left dog"],
        "testA": ["brown, one"],
        "testB": ["cat at the edge"],
    }
    first = examples["train"][0]
    assert first.target == {"boxes": [[10, 5, 50, 25]], "width": 100, "height": 60}
    assert first.meta["category"] == "dog"
    assert examples["testB"][0].target["boxes"] == [[90, 50, 100, 60]]  # cut to the frame
    assert skipped == {
        "train2014/COCO_train2014_2.jpg": "the picture is missing",
        "reference 3": "its object has no box with an area",
        "reference 4": "its object is not among the annotations",
        "train2014/../../secret.jpg": "its path leads outside the folder",
        "reference 6, sentence 0": "a sentence without words",
        "train2014/COCO_train2014_1.jpg, 'beyond the frame'": "a box has no area within the picture",
        "reference 8": "not a reference with sentences",
        "reference 9": "without a split",
    }


PYTHON_2 = (  # pickle.dumps([{'sent': u'caf\xe9', 'raw': 'caf\xe9', 'ids': (1, 2L)}]) by Python 2
    b"(lp0\n(dp1\nS'raw'\np2\nS'caf\\xe9'\np3\nsS'sent'\np4\nVcaf\\u00e9\np5\nsS'ids'\np6\n(I1\nL2L\ntp7\nsa."
)


def test_pickles_of_python_2(tmp_path: Path) -> None:
    (tmp_path / "a.p").write_bytes(PYTHON_2)
    assert read_plain_pickle(tmp_path / "a.p") == [{"raw": "café", "sent": "café", "ids": (1, 2)}]


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'echo'\ntR.",
        b"(ios\nsystem\n.",
        b"(S'echo'\ncos\nsystem\no.",
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04echo\x85R.",
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.",
        b"\x80\x02X\x01\x00\x00\x00xQ.",
    ],
)
def test_pickles_that_name_code_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.p").write_bytes(content)
    with pytest.raises(UserError, match="is no plain data: it asks for"):
        read_plain_pickle(tmp_path / "a.p")


def test_a_malicious_refs_file_runs_nothing(tmp_path: Path) -> None:
    raw = refcoco(tmp_path / "raw", [ref(1, 10, "train", "the dog"), Malicious(tmp_path / "owned")])
    with pytest.raises(UserError, match=r"asks for (io|_io|builtins|__builtin__)\.open"):
        build("refcoco", raw, tmp_path / "out")
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"junk", pickle.dumps([1] * 100)[:-20], b"\x80\x02]q\x00(K\x01"])
def test_broken_pickles_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.p").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a pickle"):
        read_plain_pickle(tmp_path / "a.p")


def test_refcoco_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"instances.json is missing"):
        build("refcoco", tmp_path, tmp_path / "out")
    raw = refcoco(tmp_path / "raw", {"not": "a list"})
    with pytest.raises(UserError, match="must hold a list of references, not a dict"):
        build("refcoco", raw, tmp_path / "out")
    (raw / "refcoco" / "refs(unc).p").unlink()
    with pytest.raises(UserError, match=r"refs\(unc\).p is missing. Its owners publish it at https"):
        build("refcoco", raw, tmp_path / "out")


PARTS = {"test": {"annotations": "a.json", "images": "photos"}}


def coco(raw: Path) -> Path:
    raw.mkdir()
    annotations = [
        *INSTANCES["annotations"],
        {"id": 17, "image_id": 2, "category_id": 7, "bbox": [20, 20, 30, 30]},
    ]
    (raw / "a.json").write_text("\ufeff" + json.dumps({**INSTANCES, "annotations": annotations}))
    for number in (1, 2):
        jpeg(raw / "photos" / f"COCO_train2014_{number}.jpg")
    return raw


def test_coco(tmp_path: Path) -> None:
    raw = coco(tmp_path / "raw")
    examples, skipped = build("coco", raw, tmp_path / "single", parts=PARTS)
    assert [(e.query, e.target["boxes"]) for e in examples["test"]] == [
        ("dog", [[10, 5, 50, 25]]),
        ("cat", [[90, 50, 100, 60]]),
    ]
    assert skipped == {
        "a.json, annotation 4 (id 13)": "its box has no area",
        "photos/../../secret.jpg": "its path leads outside the folder",
        "photos/COCO_train2014_2.jpg": "no category occurs exactly once",
    }
    everything, _ = build("coco", raw, tmp_path / "all", parts=PARTS, mode="all", only=["dog"])
    assert [e.target["boxes"] for e in everything["test"]] == [
        [[10, 5, 50, 25]],
        [[0, 0, 10, 10], [20, 20, 50, 50]],
    ]
    largest, _ = build("coco", raw, tmp_path / "largest", parts=PARTS, mode="largest", only=["dog"], size=50)
    assert [(e.query, e.target["boxes"]) for e in largest["test"]] == [
        ("dog", [[5, 4.17, 25, 20.83]]),
        ("largest dog", [[10, 16.67, 25, 41.67]]),
    ]


def voc(raw: Path) -> Path:
    def xml(name: str, *objects: tuple[str, ...], wrap: str = "<annotation>{}</annotation>") -> None:
        inner = "".join(
            f"<object><name>{o[0]}</name><bndbox><xmin>{o[1]}</xmin><ymin>{o[2]}</ymin><xmax>{o[3]}</xmax><ymax>{o[4]}</ymax></bndbox></object>"
            for o in objects
        )
        (raw / "Annotations" / f"{name}.xml").write_text(wrap.format(inner))

    for folder in ("Annotations", "ImageSets/Main"):
        (raw / folder).mkdir(parents=True)
    xml("a", ("WBC", "10", "5", "50", "25"), ("RBC", "0", "0", "9", "9"))
    xml("b", ("WBC", "50", "25", "10", "5"), ("WBC", "0", "0", "60", "40"), ("WBC", "1", "0", "1", "1"))
    xml("c", ("RBC", "0", "0", "9", "9"))
    xml("d", wrap="<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]><annotation>{}</annotation>")
    (raw / "ImageSets/Main/train.txt").write_text("a\nb\n")
    (raw / "ImageSets/Main/val.txt").write_text("a 1\n")
    (raw / "ImageSets/Main/test.txt").write_text("a\nc\nd\nmissing\n../../x\n")
    for name in "abcd":
        jpeg(raw / "JPEGImages" / f"{name}.jpg")
    return raw


def test_voc(tmp_path: Path) -> None:
    examples, skipped = build("bccd", voc(tmp_path / "raw"), tmp_path / "out", copies=1, size=None)
    assert [(e.query, e.target["boxes"]) for e in examples["train"]] == [
        ("white cell", [[10, 5, 50, 25]]),
        ("largest white cell", [[0, 0, 60, 40]]),
    ]
    assert {split: len(found) for split, found in examples.items()} == {"train": 2, "val": 1, "test": 1}
    assert skipped == {
        "b, object 3": "its box has no area",
        "c": "no object of the categories in `only`",
        "d": "its XML declares entities or a document type",
        "missing": "its annotation is missing",
        "../../x": "its name leads outside the folder",
    }


def test_crops_hold_the_box_where_the_photo_has_it(tmp_path: Path) -> None:
    """The pixels inside a crop's box are those inside the photo's box, mirrored or not."""
    raw = voc(tmp_path / "raw")
    examples, _ = build("bccd", raw, tmp_path / "out", copies=12, size=None)
    with Image.open(raw / "JPEGImages" / "a.jpg") as opened:
        expected = np.asarray(opened.convert("RGB").crop((10, 5, 50, 25))).astype(int)
    sizes, mirrored = set(), 0
    crops = [e for e in examples["train"] if e.id.startswith("train-a-0")]
    for example in crops[1:]:
        assert example.image is not None
        with Image.open(io.BytesIO((tmp_path / "out" / example.image).read_bytes())) as opened:
            assert opened.size == (example.target["width"], example.target["height"])
            found = np.asarray(opened.crop(tuple(map(int, example.target["boxes"][0])))).astype(int)
        straight, turned = (found == expected).all(), (found[:, ::-1] == expected).all()
        assert straight != turned
        mirrored += bool(turned)
        sizes.add((example.target["width"], example.target["height"]))
    assert len(crops) == 12
    assert 2 <= mirrored <= 9
    assert len(sizes) > 5


def test_expressions_and_frames() -> None:
    small, large = (0.0, 0.0, 2.0, 2.0), (0.0, 0.0, 5.0, 5.0)
    members = Objects([("dog", small), ("cat", large), ("dog", large)])
    assert expressions(members, "single", [], {"cat": "kitty"}) == [Expression("kitty", (large,), "cat")]
    assert expressions(members, "largest", ["dog"], {}) == [Expression("largest dog", (large,), "dog")]
    assert expressions(members, "all", ["dog"], {}) == [Expression("dog", (small, large), "dog")]
    assert expressions(members, "single", ["dog"], {}) == "no category occurs exactly once"
    assert expressions(members, "all", ["cow"], {}) == "no object of the categories in `only`"
    assert expressions(Objects(), "all", [], {}) == "no object"
    assert cut((-5, -5, 5, 5), (10, 10)) == (0, 0, 5, 5)
    assert cut((20, 20, 30, 30), (10, 10)) is None


def test_modes_are_checked() -> None:
    for name in ("coco", "voc", "bccd"):
        with pytest.raises(UserError, match="Did you mean 'single'"):
            request(with_overrides(read(name), [("raw", "x"), ("mode", "singel")]))
