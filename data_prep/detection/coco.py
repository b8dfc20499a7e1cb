"""COCO's instances_*.json: images, categories and boxes [x, y, width, height] in pixels.

Crowds (`iscrowd`) are regions to ignore: in mode=all an answer may hold them or not, and the other modes do not ask for their
category. Rows that cannot be told apart, images of one id or ids of one file, are left out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from data_prep.builder import Builder
from data_prep.detection.instances import HOME, annotations_of, images_of, located, read_instances
from data_prep.detection.objects import MODES, Objects, expressions
from data_prep.detection.records import Asked, PixelSize, pictures_below, plan_of
from data_prep.detection.values import order
from data_prep.schema import Within
from data_prep.writer import Plan, Skipped
from ntil.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Part:
    """Where a split's files are, below raw."""

    annotations: str
    images: str


@dataclass(frozen=True)
class CocoConfig:
    name: str
    builder: str
    raw: str
    parts: dict[str, Part]
    mode: str  # single, largest or all
    only: list[str]  # categories; [] for all
    val: Annotated[int, Within(0, 1_000_000)]  # the last so many training pictures become val
    size: PixelSize = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UserError(
                f"mode {self.mode!r} is not known.{did_you_mean(self.mode, MODES)} Modes: {', '.join(MODES)}."
            )


def plan(config: CocoConfig) -> Plan:
    asked: list[Asked] = []
    skipped: list[Skipped] = []
    for split, part in config.parts.items():
        content = read_instances(Path(config.raw) / part.annotations)
        folder = pictures_below(config.raw, part.images, HOME)
        images = images_of(content, part.annotations, skipped)
        objects = {name: Objects() for name in images}
        for one in annotations_of(content, part.annotations, images, skipped):
            if why := objects[one.image].add(one.category, one.edges, ignored=one.crowd):
                skipped.append(Skipped(one.where, why))
        places = located(images, folder, part.images, skipped)
        ordered = sorted((name for name, image in images.items() if image), key=order)
        if split == "train" and ordered and config.val >= len(ordered):
            raise UserError(
                f"val = {config.val:,} takes all {len(ordered):,} training pictures of {part.annotations}; choose fewer, "
                f"for example --set val={len(ordered) // 10}."
            )
        for number, name in enumerate(ordered):
            if name not in places:
                continue
            home = "val" if split == "train" and number >= len(ordered) - config.val else split
            found = expressions(objects[name], config.mode, config.only, {})
            if isinstance(found, str):
                skipped.append(Skipped(f"{part.images}/{places[name]}", found))
                continue
            image = images[name]
            asked += [
                Asked(
                    id=f"{home}-{name}-{place}",
                    split=home,
                    folder=part.images,
                    image=str(places[name]),
                    query=one.query,
                    boxes=one.boxes,
                    meta={"category": one.category},
                    ignored=one.ignored,
                    stated=image.stated if image else None,
                )
                for place, one in enumerate(found)
            ]
    return plan_of(config.raw, config.size, asked, skipped)


BUILDER = Builder("coco", CocoConfig, plan, version=2, help="objects of COCO json, from its folder")
