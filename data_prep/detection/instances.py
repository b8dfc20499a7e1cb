"""instances_*.json, as COCO and RefCOCO have them, row by row: one that is not as it should be is listed, and the rest goes on.

Rows that cannot be told apart are left out: images of one id, ids of one file.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from data_prep.detection.objects import Box
from data_prep.detection.records import locate
from data_prep.detection.values import identity, pixels, size, text, yes
from data_prep.sources import Folder, read_text
from data_prep.writer import Skipped
from ntil.data.pictures import Size
from ntil.errors import UserError

HOME = "https://cocodataset.org"
LISTS = ("images", "annotations", "categories")


class Image(NamedTuple):
    """The names that its file may have, the likeliest first, and the size that its annotations speak of."""

    names: tuple[str, ...]
    stated: Size | None


class Annotation(NamedTuple):
    """An object; its edges x1, y1, x2, y2 are None where they cannot be read."""

    where: str
    id: str | None
    image: str
    category: str
    edges: Box | None
    crowd: bool


def read_instances(path: Path) -> dict[str, Any]:
    """The file's content with its three lists."""
    if not path.is_file():
        raise UserError(f"{path} is missing. Its owners publish it at {HOME}")
    content = _json(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in LISTS):
        raise UserError(f"{path} must hold the lists {', '.join(LISTS)}.")
    return content


def _json(path: Path) -> Any:
    written = read_text(path)
    if written is None:
        raise UserError(f"{path} cannot be read as text.")
    try:
        return json.loads(written, strict=False, parse_int=_whole)  # control characters are no harm
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}).") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply.") from None


def _whole(digits: str) -> int:
    """An integer, of which so many digits are beyond all floats already; Python refuses thousands."""
    return int(digits[:400])


def images_of(content: Mapping[str, Any], where: str, skipped: list[Skipped]) -> dict[str, Image | None]:
    """Image by id; None for one that is left out."""
    rows: dict[str, list[tuple[str, Image]]] = {}
    for number, row in enumerate(content["images"], start=1):
        at = f"{where}, image {number}"
        if not isinstance(row, dict):
            skipped.append(Skipped(at, "an image that is no object"))
            continue
        name, names = identity(row.get("id")), _file_names(row)
        if not names:
            skipped.append(Skipped(at, "an image without a file name"))
        elif name is None:
            skipped.append(Skipped(f"{at} ({names[0]})", "an image without an id"))
        else:
            rows.setdefault(name, []).append((at, Image(names, size(row.get("width"), row.get("height")))))
    found: dict[str, Image | None] = {}
    for name, listed in rows.items():
        same = len({image for _, image in listed}) == 1
        found[name] = listed[0][1] if same else None
        why = "listed twice" if same else "another image has the same id"
        skipped += [Skipped(f"{at} ({image.names[0]})", why) for at, image in listed[1 if same else 0 :]]
    return found


def _file_names(row: Mapping[str, Any]) -> tuple[str, ...]:
    names = [row["file_name"]] if isinstance(row.get("file_name"), str) else []
    for key in ("coco_url", "flickr_url"):
        if isinstance(row.get(key), str):
            try:
                names.append(unquote(urlsplit(row[key]).path).rpartition("/")[2])
            except ValueError:  # no address
                continue
    return tuple(dict.fromkeys(name for name in names if name.strip()))


def located(
    images: Mapping[str, Image | None], folder: Folder, shown: str, skipped: list[Skipped]
) -> dict[str, PurePosixPath]:
    """Where each image's picture is, below its folder; `shown`: how the folder is called."""
    places: dict[str, PurePosixPath] = {}
    owners: dict[PurePosixPath, list[str]] = {}
    for name, image in images.items():
        place = locate(folder, *image.names) if image else ""
        if isinstance(place, PurePosixPath):
            places[name] = place
            owners.setdefault(place, []).append(name)
        elif image:
            skipped.append(Skipped(f"{shown}/{image.names[0]}", place))
    for place, claiming in owners.items():
        if len(claiming) == 1:
            continue
        exact = [name for name in claiming if (image := images[name]) and str(place) == image.names[0]]
        why = "the picture is missing" if len(exact) == 1 else "its file is listed under several ids"
        for name in claiming:
            if [name] != exact and (image := images[name]):
                skipped.append(Skipped(f"{shown}/{image.names[0]} (image {name})", why))
                del places[name]
    return places


def annotations_of(
    content: Mapping[str, Any], where: str, images: Mapping[str, Image | None], skipped: list[Skipped]
) -> Iterator[Annotation]:
    """The objects of known images and categories."""
    categories = _categories(content, where, skipped)
    for number, row in enumerate(content["annotations"], start=1):
        if not isinstance(row, dict):
            skipped.append(Skipped(f"{where}, annotation {number}", "an annotation that is no object"))
            continue
        name, image = identity(row.get("id")), identity(row.get("image_id"))
        at = f"{where}, annotation {number}" + (f" (id {name})" if name else "")
        category = categories.get(identity(row.get("category_id")) or "")
        if image is None or image not in images:
            skipped.append(Skipped(at, "an annotation of no known image"))
        elif category is None:
            skipped.append(Skipped(at, "an annotation of no known category"))
        else:
            yield Annotation(at, name, image, category, _edges(row.get("bbox")), yes(row.get("iscrowd")))


def _categories(content: Mapping[str, Any], where: str, skipped: list[Skipped]) -> dict[str, str]:
    """Category by id."""
    found: dict[str, set[str]] = {}
    for number, row in enumerate(content["categories"], start=1):
        name, called = (
            (identity(row.get("id")), text(row.get("name"))) if isinstance(row, dict) else (None, None)
        )
        if name is None or called is None:
            skipped.append(Skipped(f"{where}, category {number}", "a category without an id or a name"))
        else:
            found.setdefault(name, set()).add(called)
    shared = {name for name, called in found.items() if len(called) > 1}
    skipped += [
        Skipped(f"{where}, category id {name}", "several categories have one id") for name in sorted(shared)
    ]
    return {name: called.pop() for name, called in found.items() if name not in shared}


def _edges(bbox: Any) -> Box | None:
    """[x, y, width, height] → x1, y1, x2, y2."""
    values = [pixels(value) for value in bbox] if isinstance(bbox, list) else []
    known = [value for value in values if value is not None]
    if len(values) != 4 or len(known) != 4:
        return None
    x, y, width, height = known
    return x, y, x + width, y + height
