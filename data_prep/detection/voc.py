"""Pascal VOC: one XML file for each picture, splits as lists of names.

<raw>/Annotations/<name>.xml     <object><name>…</name><bndbox><xmin>…<ymin>…<xmax>…<ymax>…</bndbox></object>
<raw>/JPEGImages/<name>.jpg      <raw>/ImageSets/Main/<split>.txt

Where there is no <name>.jpg, the picture of that name with another ending is taken, or the one that <filename> states.
`difficult` objects are regions to ignore, as in VOC's own evaluation: in mode=all an answer may hold them or not, and the
other modes do not ask for their category.
"""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated
from xml.etree import ElementTree

from data_prep.builder import Builder
from data_prep.detection.objects import MODES, Box, Objects, expressions
from data_prep.detection.records import Asked, PixelSize, locate, pictures_below, plan_of
from data_prep.detection.values import pixels, size, text, yes
from data_prep.schema import Within
from data_prep.sources import Folder, lines, read_text
from data_prep.writer import Plan, Skipped
from data_prep.xml_files import read_xml
from ntil.data.pictures import SUFFIXES
from ntil.errors import UserError, did_you_mean
from ntil.io import inside

PICTURES = "JPEGImages"


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
    folder = pictures_below(config.raw, PICTURES, config.home)
    asked: list[Asked] = []
    skipped: list[Skipped] = []
    listed = {split: _names(config, listed) for split, listed in config.splits_from.items()}
    known = {name for names in listed.values() for name in names}
    owners: dict[str, set[str]] = {}  # picture → the annotations that it belongs to
    for split, names in listed.items():
        skipped += [Skipped(name, "listed twice") for name, times in Counter(names).items() if times > 1]
        for name in dict.fromkeys(names):
            root = _annotation(Path(config.raw), name)
            if isinstance(root, str):
                skipped.append(Skipped(name, root))
                continue
            found = expressions(_objects(root, name, skipped), config.mode, config.only, config.names)
            image = found if isinstance(found, str) else _picture(folder, root, name, known)
            if isinstance(found, str) or isinstance(image, str):
                skipped.append(Skipped(name, str(image)))
                continue
            owners.setdefault(str(image), set()).add(name)
            asked += [
                Asked(
                    id=f"{split}-{name}-{number}",
                    split=split,
                    folder=PICTURES,
                    image=str(image),
                    query=one.query,
                    boxes=one.boxes,
                    meta={"category": one.category},
                    ignored=one.ignored,
                    stated=size(root.findtext("size/width"), root.findtext("size/height")),
                )
                for number, one in enumerate(found)
            ]
    shared = {image for image, names in owners.items() if len(names) > 1}
    for image in sorted(shared):
        why = "its picture is that of several annotations"
        skipped += [Skipped(f"{name} ({PICTURES}/{image})", why) for name in sorted(owners[image])]
    asked = [one for one in asked if one.image not in shared]
    return plan_of(config.raw, config.size, asked, skipped, config.copies, config.seed)


def _names(config: VocConfig, listed: str) -> list[str]:
    """The names of a list. Lists by category carry a second column, −1 where the category is not in the picture."""
    raw = Path(config.raw)
    path = raw / "ImageSets" / "Main" / f"{listed}.txt"
    written = read_text(path) if path.is_file() else None
    if written is None:
        raise UserError(f"{path} is missing. The owners of {config.name} publish it at {config.home}")
    return [_name(raw, line.strip()) for _, line in lines(written)]


def _name(raw: Path, line: str) -> str:
    """The name in a line: the line itself, or what stands before a second column or an ending, where that is annotated."""
    forms = [line, re.sub(r"\s+-?[01]$", "", line)]
    forms += [form.rpartition(".")[0] for form in forms if PurePosixPath(form).suffix.lower() in SUFFIXES]
    return next((form for form in forms if not isinstance(_path(raw, form), str)), forms[1])


def _path(raw: Path, name: str) -> Path | str:
    """The file of an annotation, or why there is none."""
    try:
        path = inside((raw / "Annotations").resolve(), f"{name}.xml")
        return path if path.is_file() else "its annotation is missing"
    except UserError:
        return "its name leads outside the folder"
    except (OSError, ValueError):  # no file could have this name
        return "its annotation is missing"


def _annotation(raw: Path, name: str) -> ElementTree.Element | str:
    path = _path(raw, name)
    return path if isinstance(path, str) else read_xml(path)


def _picture(
    folder: Folder, root: ElementTree.Element, name: str, known: Collection[str]
) -> PurePosixPath | str:
    """The picture under the annotation's own name, or under the one it states, unless that is another annotation's."""
    stated = (root.findtext("filename") or "").strip().replace("\\", "/").rpartition("/")[2]
    found = [locate(folder, called) for called in (f"{name}.jpg", stated) if called]
    for place in found:
        if isinstance(place, PurePosixPath) and _is_free(place, name, known):
            return place
    return found[0] if isinstance(found[0], str) else "the picture is missing"


def _is_free(place: PurePosixPath, name: str, known: Collection[str]) -> bool:
    owner = str(place.with_suffix(""))
    return owner == name or owner not in known


def _objects(root: ElementTree.Element, name: str, skipped: list[Skipped]) -> Objects:
    found = Objects()
    for number, element in enumerate(root.iter("object"), start=1):
        category = text(element.findtext("name"))
        why = "without a name"
        if category is not None:
            why = found.add(category, _edges(element), ignored=yes(element.findtext("difficult")))
        if why:
            skipped.append(Skipped(f"{name}, object {number}", why))
    return found


def _edges(element: ElementTree.Element) -> Box | None:
    """Corners in either order; VOC counts pixels from 1 and includes both ends, which we leave as it stands."""
    values = [pixels(element.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")]
    known = [value for value in values if value is not None]
    if len(known) != 4:
        return None
    x1, y1, x2, y2 = known
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


BUILDER = Builder("voc", VocConfig, plan, version=2, help="objects of Pascal VOC and sets in its layout")
