"""COCO's instances_*.json: images, categories and boxes [x, y, width, height] in pixels."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from data_prep.detection.records import MODES, Asked, Box, PixelSize, expressions, plan_of
from data_prep.schema import Within
from data_prep.writer import Plan, Skipped
from ntil.errors import UserError, did_you_mean
from ntil.io import inside

VERSION = 1  # raise it whenever the same config gives other records
HOME = "https://cocodataset.org"


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
        objects = boxes_by_image(content, part.annotations, skipped)
        order = sorted(objects)
        for place, image_id in enumerate(order):
            file, members = objects[image_id]
            image = below(config.raw, f"{part.images}/{file}", skipped)
            if image is None:
                continue
            home = "val" if split == "train" and place >= len(order) - config.val else split
            for number, (query, boxes, category) in enumerate(
                expressions(members, config.mode, config.only, {})
            ):
                name = f"{home}-{image_id}-{number}"
                asked.append(Asked(name, home, image, query, boxes, {"category": category}))
    return plan_of(config.raw, config.size, asked, skipped)


def read_instances(path: Path) -> dict[str, Any]:
    """The file's content with its three lists."""
    if not path.is_file():
        raise UserError(f"{path} is missing. Its owners publish it at {HOME}")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}).") from None
    lists = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in lists):
        raise UserError(f"{path} must hold the lists {', '.join(lists)}.")
    return content


def boxes_by_image(
    content: dict[str, Any], where: str, skipped: list[Skipped]
) -> dict[int, tuple[str, list[tuple[str, Box]]]]:
    """Image id → (file name, its objects as category and box); crowds and broken annotations are counted as skipped."""
    categories = {row["id"]: str(row["name"]) for row in content["categories"]}
    found: dict[int, tuple[str, list[tuple[str, Box]]]] = {
        int(row["id"]): (str(row["file_name"]), []) for row in content["images"]
    }
    reasons: Counter[str] = Counter()
    for row in content["annotations"]:
        box = corners(row.get("bbox"))
        if row.get("iscrowd"):
            reasons["a crowd, not an object"] += 1
        elif box is None or row.get("category_id") not in categories or row.get("image_id") not in found:
            reasons["without a box with an area, a known category or a known image"] += 1
        else:
            found[row["image_id"]][1].append((categories[row["category_id"]], box))
    skipped += [Skipped(f"{where}: {count} annotations", why) for why, count in sorted(reasons.items())]
    return found


def corners(bbox: Any) -> Box | None:
    """[x, y, width, height] → x1, y1, x2, y2; None where it is no box with an area."""
    numbers = isinstance(bbox, list) and len(bbox) == 4 and all(isinstance(v, int | float) for v in bbox)
    if not numbers or not all(abs(value) < 1e6 for value in bbox) or bbox[2] <= 0 or bbox[3] <= 0:
        return None
    x, y, wide, high = map(float, bbox)
    return x, y, x + wide, y + high


def below(raw: str, image: str, skipped: list[Skipped]) -> str | None:
    """The picture's path, unless it leads out of the folder."""
    try:
        inside(raw, image)
    except UserError:
        skipped.append(Skipped(image, "its path leads outside the folder"))
        return None
    return image
