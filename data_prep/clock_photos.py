""" "It's About Time": clocks on photographs of COCO, OpenImages and film, as lists of boxes and times. The photos are yours.

    <raw>/<list>.csv     img_id,file_name,bbox_gt,hour,minute,bbox_det
    <raw>/<images>/…     the photos that the list names

Every record is a crop of the photo around its clock: by bbox_gt, or where a list has none (films), by bbox_det. How a list
writes its boxes is a setting, because it has to be checked against the list at hand. The set is for testing; its protocol
(hour exact, minute within ±1, with wrap) is the clock task's "±1 min".
"""

import csv
import io
import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from PIL import Image

from data_prep.detection.records import Box, cut
from data_prep.pictures import read_picture
from data_prep.schema import Within
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError
from ntil.io import inside

VERSION = 1  # raise it whenever the same config gives other records
COLUMNS = ("img_id", "file_name", "hour", "minute")
BOXES = ("bbox_gt", "bbox_det")  # the first that a list has is taken
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


@dataclass(frozen=True)
class Job:
    id: str
    image: str
    box: Box
    hour: int
    minute: int
    source: str  # the list's name


def plan(config: ClockPhotosConfig) -> Plan:
    jobs: list[Job] = []
    skipped: list[Skipped] = []
    for name in config.lists:
        for number, row in enumerate(_rows(inside(config.raw, name)), start=2):
            job = _job(config, name, number, row)
            if isinstance(job, Job):
                jobs.append(job)
            else:
                skipped.append(Skipped(f"{name}, line {number}", job))
    return Plan(jobs=jobs, make=partial(make, config), caption=_caption, skipped=skipped)


def make(config: ClockPhotosConfig, job: Job) -> Made | Skipped:
    photo = read_picture(inside(config.raw, job.image), frame="stored")
    if isinstance(photo, str):
        return Skipped(f"{job.image} ({job.id})", photo)
    x1, y1, x2, y2 = job.box
    across, down = config.margin * (x2 - x1), config.margin * (y2 - y1)
    box = cut((x1 - across, y1 - down, x2 + across, y2 + down), photo.size)
    if cut(job.box, photo.size) is None or box is None:
        return Skipped(f"{job.image} ({job.id})", "its box lies outside the photo")
    crop = photo.image().resize((config.size, config.size), Image.Resampling.LANCZOS, box=box)
    buffer = io.BytesIO()
    crop.save(buffer, format="PNG")
    example = Example(
        id=f"test-{job.id}",
        split="test",
        image=f"images/test/{job.id}.png",
        target={"hour": job.hour, "minute": job.minute},
        meta={"list": Path(job.source).stem, "source": job.image},
    )
    return Made(example, buffer.getvalue())


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise UserError(f"{path} is missing. Its owners publish the lists at {HOME}")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        fields = set(reader.fieldnames or ())
        if lacking := [name for name in COLUMNS if name not in fields] or (
            [] if fields & set(BOXES) else [BOXES[1]]
        ):
            raise UserError(f"{path} has no column {', '.join(lacking)}; see {HOME}")
        return [{key: value or "" for key, value in row.items() if key} for row in reader]


def _job(config: ClockPhotosConfig, name: str, number: int, row: dict[str, str]) -> Job | str:
    """The crop that a row asks for, or why it cannot be made."""
    hour, minute = _whole(row["hour"]), _whole(row["minute"])
    if hour is None or minute is None or not (0 <= hour <= 23 and 0 <= minute <= 59):
        return f"{row['hour']}:{row['minute']} is no time"
    text = next((row[key] for key in BOXES if row.get(key, "").strip()), "")
    box = _box(text, config.box)
    if box is None:
        return f"{text!r} is no box of four numbers with an area"
    image = f"{config.images}/{row['file_name']}"
    try:
        inside(config.raw, image)
    except UserError:
        return f"its photo {row['file_name']!r} leads outside the folder"
    return Job(f"{Path(name).stem}-{number - 2:05d}", image, box, (hour - 1) % 12 + 1, minute, name)


def _whole(text: str) -> int | None:
    """`5` and `5.0` as 5; None for anything else."""
    match = re.fullmatch(r"\s*([0-9]{1,2})(?:\.0*)?\s*", text, re.ASCII)
    return int(match[1]) if match else None


def _box(text: str, layout: str) -> Box | None:
    """`[10, 20, 30, 40]` or `10 20 30 40` as corners in pixels."""
    try:
        numbers = json.loads("[" + ",".join(text.strip(" []()").replace(",", " ").split()) + "]")
    except ValueError:
        return None
    if len(numbers) != 4 or not all(isinstance(value, int | float) and abs(value) < 1e6 for value in numbers):
        return None
    a, b, c, d = map(float, numbers)
    box = (a, b, a + c, b + d) if layout == "xywh" else (a, b, c, d)
    return box if box[0] < box[2] and box[1] < box[3] else None


def _caption(example: Example) -> str:
    return f"{example.target['hour']}:{example.target['minute']:02d}"
