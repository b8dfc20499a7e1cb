"""RefCOCO, RefCOCO+ and RefCOCOg: referring expressions for objects of COCO.

    <raw>/refcoco/instances.json    <raw>/refcoco/refs(unc).p    <raw>/train2014/COCO_train2014_*.jpg

`refs(*).p` is a pickle that Python 2 wrote; it is read without running anything (data_prep.detection.unpickle). Every sentence
becomes a record. The splits are those that the references name: train, val and test, or testA (people) and testB (other things).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.builder import Builder
from data_prep.detection.instances import HOME as IMAGES_HOME
from data_prep.detection.instances import Annotation, annotations_of, images_of, located, read_instances
from data_prep.detection.objects import has_area
from data_prep.detection.records import Asked, PixelSize, pictures_below, plan_of
from data_prep.detection.unpickle import read_plain_pickle
from data_prep.detection.values import identity
from data_prep.writer import Plan, Skipped
from ntil.errors import UserError

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
    instances = root / "instances.json"
    content = read_instances(instances)
    path = root / f"refs({config.by}).p"
    if not path.is_file():
        raise UserError(f"{path} is missing. Its owners publish it at {HOME}")
    refs = read_plain_pickle(path)
    if not isinstance(refs, list):
        raise UserError(f"{path} must hold a list of references, not a {type(refs).__name__}.")
    folder = pictures_below(config.raw, config.images, IMAGES_HOME)
    skipped: list[Skipped] = []
    images = images_of(content, f"{config.folder}/{instances.name}", skipped)
    # References count, not every object.
    objects = _by_id(annotations_of(content, instances.name, images, []))
    usable: list[tuple[dict[str, Any], str, Annotation]] = []
    for number, ref in enumerate(refs):
        found = _object(ref, objects)
        if isinstance(found, str):
            skipped.append(Skipped(f"reference {number}", found))
        else:
            usable.append((ref, f"reference {number}", found))
    places = located({one.image: images[one.image] for _, _, one in usable}, folder, config.images, skipped)
    asked: list[Asked] = []
    for ref, where, one in usable:
        image = images[one.image]
        if image is None or one.edges is None or one.image not in places:
            continue
        for place, said in _sentences(ref, where, skipped):
            asked.append(
                Asked(
                    id=f"{ref['split']}-{identity(ref['ref_id'])}-{place}",
                    split=ref["split"],
                    folder=config.images,
                    image=str(places[one.image]),
                    query=said,
                    boxes=(one.edges,),
                    meta={"category": one.category, "ref": ref["ref_id"]},
                    stated=image.stated,
                )
            )
    return plan_of(config.raw, config.size, asked, skipped)


def _by_id(annotations: Iterator[Annotation]) -> dict[str, Annotation | None]:
    """Annotation by id; None where several have one id."""
    found: dict[str, Annotation | None] = {}
    for one in annotations:
        if one.id is not None:
            found[one.id] = None if one.id in found else one
    return found


def _object(ref: Any, objects: Mapping[str, Annotation | None]) -> Annotation | str:
    """The object that a reference means, or why it cannot be used."""
    if not isinstance(ref, dict) or not isinstance(ref.get("sentences"), list | tuple):
        return "not a reference with sentences"
    if not isinstance(ref.get("split"), str) or not re.fullmatch("[0-9A-Za-z]{1,40}", ref["split"]):
        return "without a split"
    if identity(ref.get("ref_id")) is None:
        return "without a ref_id"
    name = identity(ref.get("ann_id"))
    if name is None or name not in objects:
        return "its object is not among the annotations"
    found = objects[name]
    if found is None:
        return "its object is one of several annotations of the same id"
    if found.edges is None or not has_area(found.edges):
        return "its object has no box with an area"
    return found


def _sentences(ref: dict[str, Any], where: str, skipped: list[Skipped]) -> Iterator[tuple[str, str]]:
    """(id, sentence) of a reference."""
    for number, sentence in enumerate(ref["sentences"]):
        said = sentence.get("sent") if isinstance(sentence, dict) else None
        if isinstance(said, str) and said.strip():
            yield identity(sentence.get("sent_id")) or f"s{number}", said.strip()
        else:
            skipped.append(Skipped(f"{where}, sentence {number}", "a sentence without words"))


BUILDER = Builder(
    "refcoco", RefCocoConfig, plan, version=2, help="RefCOCO, RefCOCO+ and RefCOCOg, from their folders"
)
