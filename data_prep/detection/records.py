"""From annotated pictures to records: boxes are cut to the frame, pictures resized, training photos maybe copied.

Boxes are pixels of the frame that their annotation states by its width and height: the upright picture, the picture as it is
stored (EXIF), or either of them at another size; they are brought to the upright picture. Where no size is stated they are
taken for pixels of the upright picture, which the tools that people annotate with show, and which a model sees.

A picture goes to images/<split>/ under its path below its folder; the second of two that some file system would take for one
file is numbered.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
from PIL import Image

from data_prep.accounts import distinct, plain
from data_prep.detection.objects import Box, has_area
from data_prep.pictures import Picture, read_picture
from data_prep.schema import Within
from data_prep.sources import Folder
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.data.pictures import Size
from ntil.errors import UserError
from ntil.io import inside

PixelSize = Annotated[int, Within(16, 8192, "pixels")] | None  # width and height; None copies the files
LEAST_AREA = 1.0  # square pixels of a box within the frame
LEAST_CROP = 0.6  # of the photo's width and height
LONGEST = 200  # bytes of a file's or folder's name; systems take 255


@dataclass(frozen=True)
class Asked:
    """An expression and the boxes it means, in pixels of the frame that the annotation states."""

    id: str
    split: str
    folder: str  # of the pictures, below raw
    image: str  # below the folder
    query: str
    boxes: tuple[Box, ...]
    meta: dict[str, Any] = field(default_factory=dict)
    ignored: tuple[Box, ...] = ()
    stated: Size | None = None  # the size of that frame
    copy: int = 0  # 0: the photo itself; 1, 2, …: a crop of it, maybe mirrored
    name: str = ""  # of the picture in the data set, without its ending

    @property
    def source(self) -> str:
        return f"{self.folder}/{self.image}"


def pictures_below(raw: str, folder: str, home: str) -> Folder:
    """The folder of a set's pictures, which may be a symbolic link; pictures in it may not lead out of it."""
    path = Path(raw) / folder
    if not path.is_dir():
        raise UserError(f"{path} is missing. Its owners publish it at {home}")
    return Folder(path.resolve())


def locate(folder: Folder, *names: str) -> PurePosixPath | str:
    """Where the folder holds the first of these pictures that it holds, maybe under another ending; or why it has none."""
    why = "the picture is missing"
    forms = [form for name in names for form in (name, name.replace("\\", "/"))]
    for form in dict.fromkeys(forms):
        try:
            found = folder.picture(form)
            target = inside(folder.raw, found or "")
        except UserError:
            why = "its path leads outside the folder"
            continue
        except (OSError, ValueError):  # no file could have this name
            continue
        if found is not None:
            path = PurePosixPath(found)
            return PurePosixPath(target.relative_to(folder.raw).as_posix()) if ".." in path.parts else path
    return why


def plan_of(
    raw: str,
    size: int | None,
    asked: Sequence[Asked],
    skipped: Sequence[Skipped],
    copies: int = 1,
    seed: int = 0,
) -> Plan:
    """`copies` of each training photo: itself and crops that hold all its boxes."""
    jobs = [
        replace(one, id=f"{one.id}-{copy}" if copy else one.id, copy=copy)
        for one in asked
        for copy in range(copies if one.split == "train" else 1)
    ]
    ids = distinct([job.id for job in jobs])
    jobs = [replace(job, id=name) for job, name in zip(jobs, ids, strict=True)]
    return Plan(
        jobs=_named(jobs),
        make=partial(make, raw, size, seed),
        skipped=list(skipped),
    )


def _named(jobs: Sequence[Asked]) -> list[Asked]:
    """With a name for each picture: expressions share the photo, and every crop is its own."""
    keys = [(job.split, job.source, job.id if job.copy else "") for job in jobs]
    wanted = {
        key: f"{job.split}/{_short(job.image)}" + (f"-{job.copy}" if job.copy else "")
        for key, job in zip(keys, jobs, strict=True)
    }
    names = dict(zip(wanted, distinct(list(wanted.values()), plain), strict=True))
    return [replace(job, name=names[key]) for key, job in zip(keys, jobs, strict=True)]


def _short(image: str) -> str:
    """A path without its ending, of names that every system takes."""
    parts = []
    for part in PurePosixPath(image).with_suffix("").parts:
        content = part.encode(errors="surrogatepass")
        if len(content) > LONGEST:
            part = (
                f"{content[: LONGEST // 2].decode(errors='ignore')}-{hashlib.sha256(content).hexdigest()[:8]}"
            )
        parts.append(part)
    return "/".join(parts)


def make(raw: str, size: int | None, seed: int, asked: Asked) -> Made | Skipped:
    path = (Path(raw) / asked.folder).resolve() / asked.image
    picture = read_picture(path, None if asked.copy else size, asked.stated or "upright")
    if isinstance(picture, str):
        return Skipped(asked.source, picture)
    boxes = [cut(box, picture.source) for box in asked.boxes]
    if any(box is None for box in boxes):
        return Skipped(f"{asked.source}, {asked.query!r}", "a box has no area within the picture")
    placed = [_placed(box, picture) for box in boxes if box is not None]
    ignored = [_placed(box, picture) for one in asked.ignored if (box := cut(one, picture.source))]
    if asked.copy:
        rng = np.random.default_rng([seed, asked.copy, *asked.id.encode(errors="surrogatepass")])
        picture, placed, ignored = _cropped(picture, placed, ignored, size, rng)
    target: dict[str, Any] = {
        "boxes": [[round(value, 2) for value in box] for box in placed],
        "width": picture.size[0],
        "height": picture.size[1],
    }
    if not all(map(has_area, target["boxes"])):
        return Skipped(f"{asked.source}, {asked.query!r}", "a box has no area at this size")
    if ignored:
        target["ignored"] = [[round(value, 2) for value in box] for box in ignored]
    example = Example(
        id=asked.id,
        split=asked.split,
        image=f"images/{asked.name}{picture.suffix}",
        query=asked.query,
        target=target,
        meta={**asked.meta, "source": asked.source},
    )
    return Made(example, picture.content)


def cut(box: Box, size: Size) -> Box | None:
    """The part of a box within the frame; None where next to nothing is left."""
    x1, x2 = (min(max(value, 0.0), size[0]) for value in (box[0], box[2]))
    y1, y2 = (min(max(value, 0.0), size[1]) for value in (box[1], box[3]))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 and (x2 - x1) * (y2 - y1) >= LEAST_AREA else None


def _placed(box: Box, picture: Picture) -> Box:
    """A box of the annotation's frame in the picture as it is now."""
    corners = picture.scaled(box[0], box[1]), picture.scaled(box[2], box[3])
    (x1, x2), (y1, y2) = (
        sorted(min(max(value, 0.0), side) for value in values)
        for values, side in zip(zip(*corners, strict=True), picture.size, strict=True)
    )
    return x1, y1, x2, y2


def _cropped(
    picture: Picture, boxes: list[Box], ignored: list[Box], size: int | None, rng: np.random.Generator
) -> tuple[Picture, list[Box], list[Box]]:
    """A random crop that holds every box, mirrored half of the time, and what it holds of the ignored regions."""
    image = picture.image()
    left, right = _window(image.width, min(b[0] for b in boxes), max(b[2] for b in boxes), rng)
    top, bottom = _window(image.height, min(b[1] for b in boxes), max(b[3] for b in boxes), rng)
    image = image.crop((left, top, right, bottom))
    mirrored = rng.random() < 0.5
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    source = image.size
    if size is not None:
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    made = Picture(buffer.getvalue(), ".png", source, image.size, 2 if mirrored else 1)

    def moved(box: Box) -> Box:
        return box[0] - left, box[1] - top, box[2] - left, box[3] - top

    within = (cut(moved(box), source) for box in ignored)
    return (
        made,
        [_placed(moved(box), made) for box in boxes],
        [_placed(box, made) for box in within if box is not None],
    )


def _window(side: int, low: float, high: float, rng: np.random.Generator) -> tuple[int, int]:
    """A stretch of [0, side] that holds [low, high]."""
    length = max(int(rng.uniform(LEAST_CROP, 1.0) * side), int(np.ceil(high)) - int(low))
    start = int(rng.integers(max(0, int(np.ceil(high)) - length), min(int(low), side - length) + 1))
    return start, start + length
