"""Kaggle TIME (CC0): pictures of dials in folders named after the time.

    <raw>/train|valid|test/<H-MM>/*.jpg     224 × 224 pixels, 144 times in steps of 5 minutes
    <raw>/clocks.csv                        optional: class index,filepaths,labels,data set

`valid` becomes `val`. Pictures are copied byte for byte, or resized when `size` is set. Every file that does not
become a record is named in the manifest with the reason; the published set holds a few blank dials.
"""

import csv
import io
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image, ImageStat, UnidentifiedImageError

from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError

VERSION = 1  # raise it whenever the same config gives other records
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
    skipped: list[Skipped] = []
    labels = _labels(raw)
    for theirs, split in SPLITS.items():
        index = 0
        for folder in sorted((raw / theirs).iterdir()):
            files, why = _files(folder)
            time = parse_time(folder.name)
            if time is None:
                why = f"the folder {folder.name!r} is not a time written H-MM (1–12, 00–59)"
            if why or time is None:
                skipped += [Skipped(file.relative_to(raw).as_posix(), why) for file in files or [folder]]
                continue
            for file in files:
                path = file.relative_to(raw).as_posix()
                if why := _fault(file, time, labels.pop(path, time)):
                    skipped.append(Skipped(path, why))
                    continue
                jobs.append(Job(path, split, index, hour=time[0], minute=time[1]))
                index += 1
    known = {skip.what for skip in skipped}
    skipped += [
        Skipped(path, "listed in clocks.csv, not in the folder") for path in labels if path not in known
    ]
    return Plan(jobs=jobs, make=partial(make, config), caption=caption, skipped=skipped)


def parse_time(name: str) -> tuple[int, int] | None:
    """Read "3-25" as (3, 25); None for anything that is not a time on a 12-hour dial."""
    match = re.fullmatch(r"([0-9]{1,2})[-_]([0-9]{1,2})", name)
    if match is None:
        return None
    hour, minute = int(match[1]), int(match[2])
    return (hour, minute) if 1 <= hour <= 12 and minute <= 59 else None


def make(config: ClockTimeConfig, job: Job) -> Made | Skipped:
    path = Path(config.raw) / job.path
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as opened:
            picture = opened.convert("RGB")  # decodes all of it: a truncated file fails here
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Skipped(job.path, f"unreadable picture ({type(error).__name__})")
    spread = ImageStat.Stat(picture.convert("L")).stddev[0]
    if spread < config.blank_below:
        return Skipped(job.path, f"blank: grey levels vary by {spread:.1f} of 255")
    suffix = ".jpg"
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


def caption(example: Example) -> str:
    """The time as people write it: "3:05"."""
    return f"{example.target['hour']}:{example.target['minute']:02d}"


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


def _fault(file: Path, time: tuple[int, int], label: tuple[int, int]) -> str:
    """What keeps a file from being a record, as far as its name and clocks.csv tell ('' if nothing)."""
    if file.suffix.lower() not in (".jpg", ".jpeg"):
        return "not a .jpg file"
    if label != time:
        return f"clocks.csv says {label[0]}-{label[1]:02d}, its folder {time[0]}-{time[1]:02d}"
    return ""


def _labels(raw: Path) -> dict[str, tuple[int, int]]:
    """Path → time, from clocks.csv where there is one."""
    path = raw / "clocks.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if lacking := {"filepaths", "labels"} - set(reader.fieldnames or ()):
            raise UserError(f"{path} has no column {' and '.join(sorted(lacking))}; see {HOME}")
        rows = [(row["filepaths"] or "", row["labels"] or "") for row in reader]
    labels = {}
    for number, (file_path, label) in enumerate(rows, start=2):
        time = parse_time(label.strip())
        if time is None:
            raise UserError(f"{path}, line {number}: {label!r} is not a time written H-MM.")
        labels[file_path.strip().replace("\\", "/")] = time
    return labels
