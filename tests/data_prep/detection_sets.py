"""Small sets in COCO's, VOC's and RefCOCO's layouts, for the tests of their readers."""

import json
import pickle
from pathlib import Path
from typing import Any

from PIL import Image

from data_prep.configs import read, with_overrides
from data_prep.registry import request
from ntil.data.example import Example, read_examples, read_manifest

BBOX = [5, 5, 20, 20]


def picture(path: Path, colour: str = "white", size: tuple[int, int] = (60, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, format="PNG")
    return path


def build(name: str, raw: Path, **changes: Any) -> tuple[list[Example], dict[str, str]]:
    """(all records, what was skipped → why); built to raw/../out."""
    asked = request(with_overrides(read(name), [("raw", str(raw)), *changes.items()]))
    out = asked.build(raw.parent / "out", 1)
    manifest = read_manifest(out)
    examples = [example for split in manifest["counts"] for example in read_examples(out, split)]
    assert manifest["kept"] == len(examples)
    return examples, {skip["what"]: skip["why"] for skip in manifest["skipped"]}


def coco(
    raw: Path, content: Any, encoding: str = "utf-8", **changes: Any
) -> tuple[list[Example], dict[str, str]]:
    """Build a set of one split, `test`; `content` is text or what becomes JSON."""
    raw.mkdir(parents=True, exist_ok=True)
    (raw / "photos").mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (raw / "a.json").write_bytes(text.encode(encoding, "surrogatepass"))
    parts = {"test": {"annotations": "a.json", "images": "photos"}}
    return build("coco", raw, **{"parts": parts, "val": 0, **changes})


def instances(*images: dict[str, Any], annotations: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """One tent on each image, unless the annotations are given."""
    tents = [
        {"id": n, "image_id": image.get("id"), "category_id": 1, "bbox": BBOX}
        for n, image in enumerate(images)
    ]
    return {
        "images": list(images),
        "annotations": tents if annotations is None else annotations,
        "categories": [{"id": 1, "name": "tent"}, {"id": 2, "name": "cup"}],
        **more,
    }


def voc(
    raw: Path, xml: dict[str, str | bytes], listed: str | bytes | None = None, **changes: Any
) -> tuple[list[Example], dict[str, str]]:
    """Build a set of one split, `test`, of these annotations by name; `listed`: its list, by default their names."""
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (raw / folder).mkdir(parents=True, exist_ok=True)
    for name, content in xml.items():
        (raw / f"Annotations/{name}.xml").write_bytes(
            content.encode() if isinstance(content, str) else content
        )
    names = "\n".join(xml) if listed is None else listed
    (raw / "ImageSets/Main/val.txt").write_bytes(names.encode() if isinstance(names, str) else names)
    return build("voc", raw, **{"splits_from": {"test": "val"}, **changes})


def thing(name: str = "cat", box: tuple[Any, ...] = (5, 5, 30, 30), more: str = "") -> str:
    edges = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    return f"<object><name>{name}</name><bndbox>{edges}</bndbox>{more}</object>"


def annotation(*things: str, more: str = "") -> str:
    return f"<annotation>{more}{''.join(things or (thing(),))}</annotation>"


def refcoco(raw: Path, content: Any, refs: Any) -> tuple[list[Example], dict[str, str]]:
    (raw / "refcoco").mkdir(parents=True, exist_ok=True)
    (raw / "train2014").mkdir(exist_ok=True)
    (raw / "refcoco/instances.json").write_text(content if isinstance(content, str) else json.dumps(content))
    (raw / "refcoco/refs(unc).p").write_bytes(refs if isinstance(refs, bytes) else pickle.dumps(refs, 2))
    return build("refcoco", raw)


def ref(number: Any, ann_id: Any, split: Any = "train", *said: Any) -> dict[str, Any]:
    sentences = [{"sent_id": n, "sent": s} for n, s in enumerate(said or ("the tent",))]
    return {"ref_id": number, "ann_id": ann_id, "split": split, "sentences": sentences}
