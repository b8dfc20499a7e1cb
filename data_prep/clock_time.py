"""Kaggle TIME (CC0): pictures of dials in folders named after the time.

    <raw>/train|valid|test/<H-MM>/*.jpg     224 × 224 pixels, 144 times in steps of 5 minutes
    <raw>/clocks.csv                        optional: class index,filepaths,labels,data set

`valid` becomes `val`. JPEG and PNG are copied byte for byte, or resized when `size` is set. Every file that does not become a
record is named in the manifest with the reason, and every line of clocks.csv that fits no picture; a picture that the list and
its folder call differently is left out. The published set holds a few blank dials.
"""

import io
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image, ImageStat

from data_prep.builder import Builder
from data_prep.clock.caption import shown_time
from data_prep.pictures import read_picture
from data_prep.sources import PICTURES, read_table, shown
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError

SPLITS = {"train": "train", "valid": "val", "test": "test"}  # their name → ours
HOME = "https://www.kaggle.com/datasets/gpiosenka/time-image-datasetclassification"


@dataclass(frozen=True)
class ClockTimeConfig:
    name: str
    builder: str
    raw: str  # the unpacked folder
    size: int | None = None  # pixels, width and height; None copies the files as they are
    blank_below: float = (
        3.0  # standard deviation of the grey levels (0–255) under which a picture shows nothing
    )

    def __post_init__(self) -> None:
        if self.size is not None and not 16 <= self.size <= 2048:
            raise UserError(f"size = {self.size} is outside 16 to 2048 pixels.")
        if not 0 <= self.blank_below <= 127:
            raise UserError(f"blank_below = {self.blank_below:g} is outside 0 to 127 grey levels.")


@dataclass(frozen=True)
class Job:
    path: str  # relative to raw
    split: str
    index: int  # within the split
    hour: int
    minute: int


def plan(config: ClockTimeConfig) -> Plan:
    raw = _raw_folder(config.raw)
    jobs: list[Job] = []
    labels, skipped = _labels(raw)
    seen: set[str] = set()
    for theirs, split in SPLITS.items():
        index = 0
        for folder in sorted((raw / theirs).iterdir()):
            files, why = _files(folder)
            time = parse_time(folder.name)
            if not why and time is None:
                why = "its folder's name is not a time written H-MM (1–12, 00–59)"
            for file in files or [folder]:
                path = file.relative_to(raw).as_posix()
                seen.add(path)
                fault = why or _fault(file, time, labels.get(path, set()))
                if fault or time is None:
                    skipped.append(Skipped(shown(path), fault))
                    continue
                jobs.append(Job(path, split, index, hour=time[0], minute=time[1]))
                index += 1
    skipped += [
        Skipped(path, "listed in clocks.csv, not in the folder") for path in labels if path not in seen
    ]
    return Plan(jobs=jobs, make=partial(make, config), caption=shown_time, skipped=skipped)


def parse_time(name: str) -> tuple[int, int] | None:
    """Read "3-25" as (3, 25); None for anything that is not a time on a 12-hour dial."""
    match = re.fullmatch(r"([0-9]{1,2})[-_]([0-9]{1,2})", name)
    if match is None:
        return None
    hour, minute = int(match[1]), int(match[2])
    return (hour, minute) if 1 <= hour <= 12 and minute <= 59 else None


def make(config: ClockTimeConfig, job: Job) -> Made | Skipped:
    photo = read_picture(Path(config.raw) / job.path)
    if isinstance(photo, str):
        return Skipped(job.path, photo)
    picture = photo.image()
    if ImageStat.Stat(picture.convert("L")).stddev[0] < config.blank_below:
        return Skipped(job.path, f"blank: grey levels vary by less than {config.blank_below:g} of 255")
    content, suffix = photo.content, photo.suffix
    if config.size is not None:
        buffer, suffix = io.BytesIO(), ".png"
        picture.resize((config.size, config.size), Image.Resampling.LANCZOS).save(buffer, format="PNG")
        content = buffer.getvalue()
    example = Example(
        id=f"{job.split}-{job.index:06d}",
        split=job.split,
        image=f"images/{job.split}/{job.index:06d}{suffix}",
        target={"hour": job.hour, "minute": job.minute},
        meta={"source": job.path},
    )
    return Made(example, content)


def _raw_folder(raw: str) -> Path:
    if raw == "???":
        raise UserError(
            f"Say where the unpacked TIME data set is (data.raw=DIR). Its owner publishes it at {HOME}"
        )
    folder = Path(raw)
    missing = [name for name in SPLITS if not (folder / name).is_dir()]
    if missing:
        raise UserError(
            f"{folder} does not hold the TIME data set: {', '.join(f'{name}/' for name in missing)} missing. "
            f"Its owner publishes it at {HOME}"
        )
    return folder


def _files(folder: Path) -> tuple[list[Path], str]:
    """The files below a time's folder, and why none of them can be used ('' if they can)."""
    if not folder.is_dir():
        return [folder], "a file where folders named after the time are expected"
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return files, "" if files else "the folder is empty"


def _fault(file: Path, time: tuple[int, int] | None, labels: set[tuple[int, int]]) -> str:
    """What keeps a file from being a record, as far as its name and clocks.csv tell ('' if nothing)."""
    if file.suffix.lower() not in PICTURES:
        return "not a picture file"
    if shown(file.as_posix()) != file.as_posix():
        return "its name is not Unicode text"
    if labels - {time}:
        return "clocks.csv and its folder say different times"
    return ""


def _labels(raw: Path) -> tuple[dict[str, set[tuple[int, int]]], list[Skipped]]:
    """(path → the times that clocks.csv gives it, its lines that say none); empty where there is no such file."""
    path = raw / "clocks.csv"
    if not path.exists():
        return {}, []
    table = read_table(path)
    if lacking := {"filepaths", "labels"} - set(table.columns):
        raise UserError(f"{path} has no column {' and '.join(sorted(lacking))}; see {HOME}")
    labels: dict[str, set[tuple[int, int]]] = {}
    skipped: list[Skipped] = []
    for number, row in table.rows:
        if isinstance(row, str):
            skipped.append(Skipped(f"clocks.csv, line {number}", row))
            continue
        time = parse_time(row["labels"].strip())
        if time is None:
            what = f"clocks.csv, line {number} ({row['labels']})"
            skipped.append(Skipped(what, "its label is not a time written H-MM"))
        else:
            labels.setdefault(row["filepaths"].strip().replace("\\", "/"), set()).add(time)
    return labels, skipped


BUILDER = Builder(
    "clock_time", ClockTimeConfig, plan, version=2, help="the Kaggle TIME clocks, from its folder"
)
