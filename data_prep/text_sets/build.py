"""A public text detection set: each picture with the outlines of its words.

Words whose outline has no area after it was cut to the frame are listed as skipped. An outline that crosses itself says
that there is text, but not where exactly: it becomes an ignored region of its convex hull, and is listed too. A
picture without a label file, a label file without a picture, and every line that cannot be read are listed.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from shapely.geometry import MultiPoint, Polygon

from data_prep.pictures import Picture, read_picture
from data_prep.schema import Within
from data_prep.text_sets.layouts import LAYOUTS, Unread, Word
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError, did_you_mean
from ntil.io import inside

VERSION = 1  # raise it whenever the same config gives other records
ENDINGS = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


@dataclass(frozen=True)
class Part:
    """Where a split's files are, below raw. {id} in `labels` stands for the picture's name without its ending."""

    images: str
    labels: str


@dataclass(frozen=True)
class TextSetConfig:
    """One public set: conf/data/icdar2015.yaml and its siblings."""

    name: str
    builder: str
    layout: str
    home: str  # where its owners publish it
    raw: str  # the folder with the unpacked files
    parts: dict[str, Part]
    val: Annotated[int, Within(0, 100_000)]  # the last so many training pictures become val
    size: Annotated[int, Within(16, 8192, "pixels")] | None = None  # width and height; None copies the files

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            near = did_you_mean(self.layout, LAYOUTS)
            raise UserError(f"layout {self.layout!r} is not known.{near} Layouts: {', '.join(LAYOUTS)}.")
        for split, part in self.parts.items():
            if part.labels.count("{id}") != 1:
                raise UserError(f"parts.{split}.labels must hold {{id}} once, not {part.labels!r}.")


@dataclass(frozen=True)
class Job:
    split: str
    index: int
    image: str  # below raw
    words: tuple[Word, ...]


def plan(config: TextSetConfig) -> Plan:
    raw = Path(config.raw)
    jobs: list[Job] = []
    skipped: list[Skipped] = []
    for split, part in config.parts.items():
        labelled = _labelled(config, raw, part, skipped)
        for index, (image, words) in enumerate(labelled):
            to_val = split == "train" and index >= len(labelled) - config.val
            jobs.append(Job("val" if to_val else split, index, image, words))
    return Plan(jobs=jobs, make=partial(make, config), caption=_caption, skipped=skipped)


def make(config: TextSetConfig, job: Job) -> Made | Skipped:
    picture = read_picture(inside(config.raw, job.image), config.size, frame="stored")
    if isinstance(picture, str):
        return Skipped(job.image, picture)
    outlines, ignored, texts, dropped = [], [], [], 0
    for word in job.words:
        points, skip = usable(word, picture)
        if not points:
            dropped += 1
            continue
        outlines.append([[round(value, 2) for value in picture.scaled(*point)] for point in points])
        ignored.append(skip)
        texts.append(word.text)
    example = Example(
        id=f"{job.split}-{Path(job.image).stem}",
        split=job.split,
        image=f"images/{job.split}/{job.index:06d}{picture.suffix}",
        target={
            "polygons": outlines,
            "ignored": ignored,
            "texts": texts,
            "width": picture.size[0],
            "height": picture.size[1],
        },
        meta={"set": config.name, "source": job.image, "words_without_area": dropped},
    )
    return Made(example, picture.content)


def usable(word: Word, picture: Picture) -> tuple[list[tuple[float, float]], bool]:
    """(the outline within the frame, whether it is ignored); no points where nothing is left of it."""
    width, height = picture.source
    points = [(min(max(x, 0.0), width), min(max(y, 0.0), height)) for x, y in word.points]
    outline = Polygon(points)
    if outline.is_valid and outline.area >= 1:
        return points, word.ignored
    hull = MultiPoint(points).convex_hull
    if not isinstance(hull, Polygon) or hull.area < 1:
        return [], word.ignored
    return [(float(x), float(y)) for x, y in hull.exterior.coords[:-1]], True


def _labelled(
    config: TextSetConfig, raw: Path, part: Part, skipped: list[Skipped]
) -> list[tuple[str, tuple[Word, ...]]]:
    """(picture, its words) by name; whatever has no partner is listed."""
    images = _pictures(config, raw / part.images)
    labels = _labels(config, raw, part)
    found = []
    for name in sorted(images.keys() | labels.keys()):
        if name not in images:
            skipped.append(Skipped(labels[name].relative_to(raw).as_posix(), "its picture is missing"))
        elif name not in labels:
            skipped.append(Skipped(images[name].relative_to(raw).as_posix(), "its label file is missing"))
        else:
            words = tuple(_words(raw, labels[name], config.layout, skipped))
            found.append((images[name].relative_to(raw).as_posix(), words))
    return found


def _words(raw: Path, path: Path, layout: str, skipped: list[Skipped]) -> list[Word]:
    where = path.relative_to(raw).as_posix()
    words = []
    for word in LAYOUTS[layout](path):
        if isinstance(word, Unread):
            skipped.append(Skipped(f"{where}, {word.where}", word.why))
            continue
        if why := _fault(word):
            skipped.append(Skipped(f"{where}, {word.text!r}", why))
        if len(word.points) >= 3:
            words.append(word)
    return words


def _fault(word: Word) -> str:
    """What is wrong with a word's outline as its file has it; '' if nothing."""
    if len(word.points) < 3:
        return "its outline has fewer than three points"
    outline = Polygon(word.points)
    if not outline.is_valid and MultiPoint(word.points).convex_hull.area >= 1:
        return "its outline crosses itself; kept as an ignored region"
    return "its outline has no area" if outline.area < 1 else ""


def _pictures(config: TextSetConfig, folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder} is missing. The owners of {config.name} publish it at {config.home}")
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in ENDINGS}


def _labels(config: TextSetConfig, raw: Path, part: Part) -> dict[str, Path]:
    """Picture name → label file, by the pattern in part.labels."""
    folder, _, pattern = part.labels.rpartition("/")
    before, after = pattern.split("{id}")
    place = raw / folder
    if not place.is_dir():
        raise UserError(f"{place} is missing. The owners of {config.name} publish it at {config.home}")
    return {
        path.name[len(before) : len(path.name) - len(after)]: path
        for path in sorted(place.iterdir())
        if path.name.startswith(before)
        and path.name.endswith(after)
        and len(path.name) > len(before) + len(after)
    }


def _caption(example: Example) -> str:
    words: list[Any] = example.target["texts"]
    return f"{len(words)} words"
