"""Pascal VOC: one XML file for each picture, splits as lists of names.

<raw>/Annotations/<name>.xml     <object><name>…</name><bndbox><xmin>…<ymin>…<xmax>…<ymax>…</bndbox></object>
<raw>/JPEGImages/<name>.jpg      <raw>/ImageSets/Main/<split>.txt
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree

from data_prep.detection.records import MODES, Asked, Box, PixelSize, expressions, plan_of
from data_prep.schema import Within
from data_prep.writer import Plan, Skipped
from data_prep.xml_files import read_xml
from ntil.errors import UserError, did_you_mean
from ntil.io import inside

VERSION = 1  # raise it whenever the same config gives other records


@dataclass(frozen=True)
class VocConfig:
    name: str
    builder: str
    raw: str  # the folder with Annotations/, JPEGImages/ and ImageSets/
    home: str  # where its owners publish it
    splits_from: dict[str, str]  # our split → its list in ImageSets/Main
    mode: str  # single, largest or all
    only: list[str]  # categories; [] for all
    names: dict[str, str]  # category → what an expression calls it, where that differs
    copies: Annotated[int, Within(1, 1000)] = (
        1  # of each training photo: itself and crops, half of them mirrored
    )
    size: PixelSize = None
    seed: Annotated[int, Within(0, 2**63 - 1)] = 0  # of the crops

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UserError(
                f"mode {self.mode!r} is not known.{did_you_mean(self.mode, MODES)} Modes: {', '.join(MODES)}."
            )


def plan(config: VocConfig) -> Plan:
    raw = Path(config.raw)
    asked: list[Asked] = []
    skipped: list[Skipped] = []
    for split, listed in config.splits_from.items():
        for name in _names(config, raw / "ImageSets" / "Main" / f"{listed}.txt"):
            objects = list(_objects(raw, name, skipped))
            found = expressions(objects, config.mode, config.only, config.names)
            if objects and not found:
                skipped.append(Skipped(name, f"no category that mode={config.mode} can ask for"))
            for number, (query, boxes, category) in enumerate(found):
                image = f"JPEGImages/{name}.jpg"
                asked.append(
                    Asked(f"{split}-{name}-{number}", split, image, query, boxes, {"category": category})
                )
    return plan_of(config.raw, config.size, asked, skipped, config.copies, config.seed)


def _names(config: VocConfig, path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(f"{path} is missing. The owners of {config.name} publish it at {config.home}")
    # Lists by category carry a second column, −1 where the category is not in the picture.
    return [line.split()[0] for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]


def _objects(raw: Path, name: str, skipped: list[Skipped]) -> Iterator[tuple[str, Box]]:
    try:
        path = inside(raw, f"Annotations/{name}.xml")
    except UserError:
        skipped.append(Skipped(name, "its name leads outside the folder"))
        return
    root = read_xml(path) if path.is_file() else "its annotation is missing"
    if isinstance(root, str):
        skipped.append(Skipped(name, root))
        return
    count = 0
    for number, element in enumerate(root.iter("object"), start=1):
        category, box = (element.findtext("name") or "").strip(), _box(element)
        if not category or box is None:
            skipped.append(Skipped(f"{name}, object {number}", "without a name or a box with an area"))
            continue
        count += 1
        yield category, box
    if not count:
        skipped.append(Skipped(name, "no usable object"))


def _box(element: ElementTree.Element) -> Box | None:
    """Corners in either order; VOC counts pixels from 1 and includes both ends, which we leave as it stands."""
    try:
        x1, y1, x2, y2 = (
            float(element.findtext(f"bndbox/{edge}") or "") for edge in ("xmin", "ymin", "xmax", "ymax")
        )
    except ValueError:
        return None
    box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    return box if all(abs(edge) < 1e6 for edge in box) and box[0] < box[2] and box[1] < box[3] else None
