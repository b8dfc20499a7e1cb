""" "It's About Time": clocks on photographs of COCO, OpenImages and film, as lists of boxes and times. The photos are yours.

    <raw>/<list>.csv     img_id,file_name,bbox_gt,hour,minute,bbox_det
    <raw>/<images>/…     the photos that the list names

Every record is a crop of the photo around its clock. bbox_gt lists the photo's clocks as [[x, y, w, h], …], or holds one
flat box; the labelled clock is the one that overlaps bbox_det most. A single one needs no bbox_det; where none of several
overlaps it, or a list has no bbox_gt (films), bbox_det itself is taken: the owners crop by it, with a margin of 0.2. The boxes of
the published lists are x, y, width, height, those of OpenImages in photos of at most 1,024 pixels a side. The set is for
testing; its protocol (hour exact, minute within ±1, with wrap) is the clock task's "±1 min".
"""

import io
import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import shapely
from PIL import Image

from data_prep.builder import Builder
from data_prep.clock.caption import shown_time
from data_prep.detection.records import Box, cut
from data_prep.pictures import read_picture
from data_prep.schema import Within
from data_prep.sources import Folder, read_table, shown
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError
from ntil.io import inside

COLUMNS = ("file_name", "hour", "minute")
BOXES = ("bbox_gt", "bbox_det")  # one of them has to be there
LEAST_SEEN = 0.5  # of a box within the photo; else the list speaks of another size
LAYOUTS = ("xywh", "xyxy")
HOME = "https://github.com/charigyang/itsabouttime"


@dataclass(frozen=True)
class ClockPhotosConfig:
    name: str
    builder: str
    raw: str
    lists: list[str]  # CSV files below raw
    images: str  # the folder of photos below raw
    box: str  # xywh or xyxy, in pixels
    margin: Annotated[float, Within(0.0, 1.0, "box sides")]  # kept around the clock
    size: Annotated[int, Within(16, 2048, "pixels")]  # width and height of the crops

    def __post_init__(self) -> None:
        if self.box not in LAYOUTS:
            raise UserError(f"box must be {' or '.join(LAYOUTS)}, not {self.box!r}.")
        if not self.lists or len(set(self.lists)) != len(self.lists):
            raise UserError(f"lists must name each list once, not {self.lists!r}.")


@dataclass(frozen=True)
class Job:
    id: str
    image: str
    box: Box
    hour: int
    minute: int
    source: str  # the list's label


def plan(config: ClockPhotosConfig) -> Plan:
    jobs: list[Job] = []
    skipped: list[Skipped] = []
    photos = Folder(Path(config.raw))
    for name, label in _labels(config.lists).items():
        for number, row in _rows(inside(config.raw, name)):
            where = f"{name}, line {number}"
            found = (
                Fault(row) if isinstance(row, str) else _job(config, photos, f"{label}-{number - 2:05d}", row)
            )
            if isinstance(found, Job):
                jobs.append(found)
            else:
                skipped.append(
                    Skipped(shown(f"{where} ({found.value})" if found.value else where), found.why)
                )
    return Plan(jobs=jobs, make=partial(make, config), caption=shown_time, skipped=skipped)


def make(config: ClockPhotosConfig, job: Job) -> Made | Skipped:
    photo = read_picture(inside(config.raw, job.image), frame="stored")
    if isinstance(photo, str):
        return Skipped(f"{job.image} ({job.id})", photo)
    x1, y1, x2, y2 = job.box
    across, down = config.margin * (x2 - x1), config.margin * (y2 - y1)
    box, seen = cut((x1 - across, y1 - down, x2 + across, y2 + down), photo.size), cut(job.box, photo.size)
    if box is None or seen is None or shapely.box(*seen).area < LEAST_SEEN * shapely.box(*job.box).area:
        return Skipped(f"{job.image} ({job.id})", "its box lies outside the photo")
    crop = photo.image().resize((config.size, config.size), Image.Resampling.LANCZOS, box=box)
    buffer = io.BytesIO()
    crop.save(buffer, format="PNG")
    example = Example(
        id=f"test-{job.id}",
        split="test",
        image=f"images/test/{job.id}.png",
        target={"hour": job.hour, "minute": job.minute},
        meta={"list": job.source, "source": job.image},
    )
    return Made(example, buffer.getvalue())


@dataclass(frozen=True)
class Fault:
    """Why a row makes no crop, and the value at fault."""

    why: str
    value: str = ""


def _labels(lists: list[str]) -> dict[str, str]:
    """List → what its records are named after: its stem, numbered where two lists share one."""
    stems = [Path(name).stem for name in lists]
    if len(set(stems)) == len(stems):
        return dict(zip(lists, stems, strict=True))
    return {name: f"{number}-{Path(name).stem}" for number, name in enumerate(lists, start=1)}


def _rows(path: Path) -> list[tuple[int, dict[str, str] | str]]:
    if not path.is_file():
        raise UserError(f"{path} is missing. Its owners publish the lists at {HOME}")
    table = read_table(path)
    if lacking := [name for name in COLUMNS if name not in table.columns] or (
        [] if set(table.columns) & set(BOXES) else [BOXES[1]]
    ):
        raise UserError(f"{path} has no column {', '.join(lacking)}; see {HOME}")
    return table.rows


def _job(config: ClockPhotosConfig, photos: Folder, name: str, row: dict[str, str]) -> Job | Fault:
    """The crop that a row asks for, or why it cannot be made."""
    hour, minute = _whole(row["hour"]), _whole(row["minute"])
    if hour is None or minute is None or not (0 <= hour <= 23 and 0 <= minute <= 59):
        return Fault("its hour and minute are no time", f"{row['hour']}:{row['minute']}")
    box = _clock(row.get("bbox_gt", ""), row.get("bbox_det", ""), config.box)
    if isinstance(box, Fault):
        return box
    file = row["file_name"].strip()
    if not file:
        return Fault("it names no photo")
    try:
        image = photos.picture(f"{config.images}/{file}")
    except UserError:
        return Fault("its photo leads outside the folder", repr(file))
    if image is None:
        return Fault("the picture is missing", file)
    return Job(name, image, box, (hour - 1) % 12 + 1, minute, name.rpartition("-")[0])


def _whole(text: str) -> int | None:
    """`5` and `5.0` as 5; None for anything else."""
    match = re.fullmatch(r"\s*([0-9]{1,2})(?:\.0*)?\s*", text, re.ASCII)
    return int(match[1]) if match else None


def _clock(truth: str, detected: str, layout: str) -> Box | Fault:
    """The labelled clock's box by the rules of the module's first lines."""
    known, found = _boxes(truth, layout), _boxes(detected, layout)
    labelled = found[0] if len(found) == 1 else None
    if labelled is None:
        if len(known) == 1:
            return known[0]
        if known:
            return Fault("it has several bbox_gt and no bbox_det to tell the labelled one", truth)
        return Fault("it has no box of four numbers with an area", " ".join((truth, detected)).strip())
    overlaps = [_iou(box, labelled) for box in known]
    return known[overlaps.index(max(overlaps))] if len(known) == 1 or any(overlaps) else labelled


def _boxes(text: str, layout: str) -> list[Box]:
    """`[[10, 20, 30, 40], …]`, `[10, 20, 30, 40]` or `10 20 30 40` as corners in pixels; those without an area are left out.

    A text that holds anything else holds no boxes.
    """
    plain = text.strip().replace("(", "[").replace(")", "]")
    plain = plain if plain.startswith("[") else f"[{','.join(plain.replace(',', ' ').split())}]"
    try:
        value = json.loads(plain)
    except (ValueError, RecursionError):
        return []
    rows = value if value and all(isinstance(row, list) for row in value) else [value]
    if not all(len(row) == 4 and all(map(_is_pixel, row)) for row in rows):
        return []
    corners = [(a, b, a + c, b + d) if layout == "xywh" else (a, b, c, d) for a, b, c, d in rows]
    return [tuple(map(float, box)) for box in corners if box[0] < box[2] and box[1] < box[3]]  # type: ignore[misc]


def _iou(one: Box, other: Box) -> float:
    first, second = shapely.box(*one), shapely.box(*other)
    return float(first.intersection(second).area / first.union(second).area)


def _is_pixel(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6


BUILDER = Builder(
    "clock_photos",
    ClockPhotosConfig,
    plan,
    version=2,
    help="clocks on photographs (It's About Time), from its lists",
)
