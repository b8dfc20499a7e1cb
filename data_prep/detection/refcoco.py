"""RefCOCO, RefCOCO+ and RefCOCOg: referring expressions for objects of COCO.

    <raw>/refcoco/instances.json    <raw>/refcoco/refs(unc).p    <raw>/train2014/COCO_train2014_*.jpg

`refs(*).p` is a pickle that Python 2 wrote; it is read without running anything (data_prep.detection.unpickle). Every sentence
becomes a record.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.detection.coco import below, corners, read_instances
from data_prep.detection.records import Asked, Box, PixelSize, plan_of
from data_prep.detection.unpickle import read_plain_pickle
from data_prep.writer import Plan, Skipped
from ntil.errors import UserError

VERSION = 1  # raise it whenever the same config gives other records
HOME = "https://github.com/lichengunc/refer"


@dataclass(frozen=True)
class RefCocoConfig:
    name: str
    builder: str
    raw: str  # the folder with refcoco/ (or its siblings) and train2014/
    folder: str  # refcoco, refcoco+ or refcocog
    by: str  # whose splits: unc, google or umd
    images: str  # the folder of pictures below raw
    size: PixelSize = None


def plan(config: RefCocoConfig) -> Plan:
    root = Path(config.raw) / config.folder
    boxes = _boxes(root / "instances.json")
    path = root / f"refs({config.by}).p"
    if not path.is_file():
        raise UserError(f"{path} is missing. Its owners publish it at {HOME}")
    refs = read_plain_pickle(path)
    if not isinstance(refs, list):
        raise UserError(f"{path} must hold a list of references, not a {type(refs).__name__}.")
    asked: list[Asked] = []
    skipped: list[Skipped] = []
    reasons: Counter[str] = Counter()
    for number, ref in enumerate(refs):
        if why := _fault(ref, boxes):
            skipped.append(Skipped(f"reference {number}", why))
            continue
        file, category, box = boxes[ref["ann_id"]]
        image = below(config.raw, f"{config.images}/{file}", skipped)
        for sentence in ref["sentences"] if image else ():
            said = sentence.get("sent") if isinstance(sentence, dict) else None
            if not isinstance(said, str) or not said.strip():
                reasons["a sentence without words"] += 1
                continue
            name = f"{ref['split']}-{ref['ref_id']}-{sentence.get('sent_id')}"
            meta = {"category": category, "ref": ref["ref_id"]}
            asked.append(Asked(name, str(ref["split"]), str(image), said.strip(), (box,), meta))
    skipped += [Skipped(f"{count} sentences", why) for why, count in reasons.items()]
    return plan_of(config.raw, config.size, asked, skipped)


def _boxes(path: Path) -> dict[int, tuple[str, str, Box]]:
    """Annotation id → (file name, category, box)."""
    content = read_instances(path)
    files = {row["id"]: str(row["file_name"]) for row in content["images"]}
    categories = {row["id"]: str(row["name"]) for row in content["categories"]}
    return {
        row["id"]: (files[row["image_id"]], categories[row["category_id"]], box)
        for row in content["annotations"]
        if (box := corners(row.get("bbox")))
        and row.get("image_id") in files
        and row.get("category_id") in categories
    }


def _fault(ref: Any, boxes: dict[int, tuple[str, str, Box]]) -> str:
    """Why a reference cannot be used; '' if it can."""
    if not isinstance(ref, dict) or not isinstance(ref.get("sentences"), list):
        return "not a reference with sentences"
    if not isinstance(ref.get("split"), str) or not ref["split"].isalnum():
        return "without a split"
    if not isinstance(ref.get("ref_id"), int):
        return "without a ref_id"
    return "" if ref.get("ann_id") in boxes else "its object is not among the annotations, or has no area"
