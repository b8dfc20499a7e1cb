"""From annotated pictures to records: boxes are cut to the frame, pictures resized, training photos maybe copied."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from PIL import Image

from data_prep.pictures import Picture, read_picture
from data_prep.schema import Within
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.io import inside

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels

PixelSize = Annotated[int, Within(16, 8192, "pixels")] | None  # width and height; None copies the files
LEAST_AREA = 1.0  # square pixels of a box within the frame
LEAST_CROP = 0.6  # of the photo's width and height


@dataclass(frozen=True)
class Asked:
    """An expression and the boxes it means, in pixels of the source picture."""

    id: str
    split: str
    image: str  # below raw
    query: str
    boxes: tuple[Box, ...]
    meta: dict[str, Any] = field(default_factory=dict)
    copy: int = 0  # 0: the photo itself; 1, 2, …: a crop of it, maybe mirrored


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
        one
        if copy == 0
        else Asked(f"{one.id}-{copy}", one.split, one.image, one.query, one.boxes, one.meta, copy)
        for one in asked
        for copy in range(copies if one.split == "train" else 1)
    ]
    return Plan(
        jobs=jobs, make=partial(make, raw, size, seed), caption=lambda e: e.query or "", skipped=list(skipped)
    )


def make(raw: str, size: int | None, seed: int, asked: Asked) -> Made | Skipped:
    picture = read_picture(inside(raw, asked.image), None if asked.copy else size)
    if isinstance(picture, str):
        return Skipped(asked.image, picture)
    boxes = [cut(box, picture.source) for box in asked.boxes]
    if any(box is None for box in boxes):
        return Skipped(f"{asked.image}, {asked.query!r}", "a box has no area within the picture")
    known = [box for box in boxes if box is not None]
    if asked.copy:
        picture, known = _cropped(
            picture, known, size, np.random.default_rng([seed, asked.copy, *asked.id.encode()])
        )
    else:
        known = [(*picture.scaled(x1, y1), *picture.scaled(x2, y2)) for x1, y1, x2, y2 in known]
    name = Path(asked.image).stem + (f"-{asked.copy}" if asked.copy else "")
    example = Example(
        id=asked.id,
        split=asked.split,
        image=f"images/{asked.split}/{name}{picture.suffix}",
        query=asked.query,
        target={
            "boxes": [[round(value, 2) for value in box] for box in known],
            "width": picture.size[0],
            "height": picture.size[1],
        },
        meta={**asked.meta, "source": asked.image},
    )
    return Made(example, picture.content)


def cut(box: Box, size: tuple[int, int]) -> Box | None:
    """The part of a box within the frame; None where next to nothing is left."""
    x1, x2 = (min(max(value, 0.0), size[0]) for value in (box[0], box[2]))
    y1, y2 = (min(max(value, 0.0), size[1]) for value in (box[1], box[3]))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 and (x2 - x1) * (y2 - y1) >= LEAST_AREA else None


def _cropped(
    picture: Picture, boxes: list[Box], size: int | None, rng: np.random.Generator
) -> tuple[Picture, list[Box]]:
    """A random crop that holds every box, mirrored half of the time."""
    with Image.open(BytesIO(picture.content)) as opened:
        image = opened.convert("RGB")
    left, right = _window(image.width, min(b[0] for b in boxes), max(b[2] for b in boxes), rng)
    top, bottom = _window(image.height, min(b[1] for b in boxes), max(b[3] for b in boxes), rng)
    image = image.crop((left, top, right, bottom))
    moved: list[Box] = [(x1 - left, y1 - top, x2 - left, y2 - top) for x1, y1, x2, y2 in boxes]
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        moved = [(image.width - x2, y1, image.width - x1, y2) for x1, y1, x2, y2 in moved]
    source = image.size
    if size is not None:
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    made = Picture(buffer.getvalue(), ".png", source, image.size)
    return made, [(*made.scaled(x1, y1), *made.scaled(x2, y2)) for x1, y1, x2, y2 in moved]


def _window(side: int, low: float, high: float, rng: np.random.Generator) -> tuple[int, int]:
    """A stretch of [0, side] that holds [low, high]."""
    length = max(int(rng.uniform(LEAST_CROP, 1.0) * side), int(np.ceil(high)) - int(low))
    start = int(rng.integers(max(0, int(np.ceil(high)) - length), min(int(low), side - length) + 1))
    return start, start + length


def expressions(
    boxes: Sequence[tuple[str, Box]], mode: str, only: Sequence[str], names: dict[str, str]
) -> list[tuple[str, tuple[Box, ...], str]]:
    """(query, boxes, category) of one picture's objects (category, box), categories in order of appearance.

    mode: "single" takes categories that occur once; "largest" the largest of each ("the largest dog" where there are
    several); "all" every box of each.
    """
    grouped: dict[str, list[Box]] = {}
    for category, box in boxes:
        if not only or category in only:
            grouped.setdefault(category, []).append(box)
    found: list[tuple[str, tuple[Box, ...], str]] = []
    for category, members in grouped.items():
        name = names.get(category, category)
        if mode == "all":
            found.append((name, tuple(members), category))
        elif len(members) == 1:
            found.append((name, (members[0],), category))
        elif mode == "largest":
            largest = max(members, key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
            found.append((f"largest {name}", (largest,), category))
    return found


MODES = ("single", "largest", "all")
