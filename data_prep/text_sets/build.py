"""A public text detection set: each picture with the outlines of its words.

A picture becomes a record if all that its label file says of it was read; text of unknown place can be marked by nothing, and
would be trained and scored as no text. So

    a label file that is missing or cannot be read           the picture is left out
    a line of which not even the outline can be read         the picture is left out
    an empty label file                                      no text in ICDAR's sets; in the others every picture has text,
                                                             and it is left out
    a line whose outline can be read, and not its text       an ignored region: the text says whether it is one
    an outline that crosses itself                           an ignored region of its convex hull: there is text, not where
    an outline of two points                                 an ignored region of their bounding box
    an outline without area, or wholly outside the picture   no region, counted in meta.words_without_area; a picture with
                                                             no other, or of which most lie outside, is left out

Everything but the last is listed in the manifest, and so is a label file without a picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from shapely.geometry import MultiPoint, Polygon

from data_prep.builder import Builder
from data_prep.pictures import Picture, read_picture
from data_prep.schema import Within
from data_prep.text_sets.files import Part, pairs
from data_prep.text_sets.layouts import LAYOUTS, TEXTLESS, WHOLE_FILE, Points, Unread, Word
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError, did_you_mean
from ntil.io import inside

LEAST_AREA = 1.0  # square pixels of an outline


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
        if not self.parts:
            raise UserError("parts names no split.")


@dataclass(frozen=True)
class Job:
    split: str
    index: int
    image: str  # below raw
    words: tuple[Word, ...]


def plan(config: TextSetConfig) -> Plan:
    jobs: list[Job] = []
    skipped: list[Skipped] = []
    for split, part in config.parts.items():
        labelled = list(_labelled(config, part, skipped))
        for index, (image, words) in enumerate(labelled):
            to_val = split == "train" and index >= len(labelled) - config.val
            jobs.append(Job("val" if to_val else split, index, image, words))
    return Plan(jobs=jobs, make=partial(make, config), caption=_caption, skipped=skipped)


def make(config: TextSetConfig, job: Job) -> Made | Skipped:
    picture = read_picture(inside(config.raw, job.image), config.size, frame="stored")
    if isinstance(picture, str):
        return Skipped(job.image, picture)
    if 2 * sum(_outside(word.points, picture) for word in job.words) > len(job.words):
        return Skipped(
            job.image, "most of its words lie outside it: they speak of another size or orientation"
        )
    outlines, ignored, texts, dropped = [], [], [], 0
    for word in job.words:
        points, skip = usable(word, picture)
        if not points:
            dropped += 1
            continue
        outlines.append([[round(value, 2) for value in picture.scaled(*point)] for point in points])
        ignored.append(skip)
        texts.append(word.text)
    if dropped and not outlines:
        return Skipped(job.image, "it has text, but no outline with an area")
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


def usable(word: Word, picture: Picture) -> tuple[Points, bool]:
    """(the outline within the frame, whether it is ignored); no points where nothing is left of it."""
    width, height = picture.source
    points = tuple((min(max(x, 0.0), width), min(max(y, 0.0), height)) for x, y in word.points)
    if _is_simple(points):
        return points, word.ignored
    return _around(points), True


def _outside(points: Points, picture: Picture) -> bool:
    xs, ys = zip(*points, strict=True)
    width, height = picture.source
    return max(xs) <= 0 or max(ys) <= 0 or min(xs) >= width or min(ys) >= height


def _is_simple(points: Points) -> bool:
    """A polygon that does not cross itself and has an area."""
    if len(points) < 3:
        return False
    outline = Polygon(points)
    return bool(outline.is_valid and outline.area >= LEAST_AREA)


def _around(points: Points) -> Points:
    """The convex hull, of two points their bounding box; no points where it has no area."""
    region = MultiPoint(points).convex_hull
    region = region.envelope if len(points) < 3 else region
    if not isinstance(region, Polygon) or region.area < LEAST_AREA:
        return ()
    return tuple((float(x), float(y)) for x, y in region.exterior.coords[:-1])


def _labelled(
    config: TextSetConfig, part: Part, skipped: list[Skipped]
) -> Iterator[tuple[str, tuple[Word, ...]]]:
    """(picture, its words) by name; whatever cannot be used is listed."""
    raw = Path(config.raw)
    for pair in pairs(raw, part, f"The owners of {config.name} publish it at {config.home}"):
        if isinstance(pair, Skipped):
            skipped.append(pair)
            continue
        image, label = (path.relative_to(raw).as_posix() for path in pair)
        read = list(LAYOUTS[config.layout](pair[1]))
        lost = [one for one in read if isinstance(one, Unread) and not one.points]
        if lost:
            first = (
                f"{label}, {lost[0].where}: {lost[0].why}"
                if lost[0].where != WHOLE_FILE
                else f"{label}: {lost[0].why}"
            )
            skipped.append(Skipped(f"{image} ({first})", _why_lost(lost[0])))
        elif not read and config.layout not in TEXTLESS:
            skipped.append(Skipped(image, "its label file is empty, and every picture of this set has text"))
        else:
            yield image, tuple(_words(label, read, skipped))


def _why_lost(part: Unread) -> str:
    if part.where == WHOLE_FILE:
        return "its label file cannot be read"
    return "a line of its label file cannot be read, so not all its text is known"


def _words(label: str, read: list[Word | Unread], skipped: list[Skipped]) -> Iterator[Word]:
    """The regions of a label file; those that are not as they should be are listed."""
    for one in read:
        if isinstance(one, Unread):
            skipped.append(Skipped(f"{label}, {one.where}", f"{one.why}; kept as an ignored region"))
            yield Word(one.points, "", ignored=True)
            continue
        if why := _fault(one.points):
            skipped.append(Skipped(f"{label}, {one.text!r}", why))
        yield one


def _fault(points: Points) -> str:
    """What is wrong with an outline as its file has it; '' if nothing."""
    if _is_simple(points):
        return ""
    if not _around(points):
        return "its outline has no area"
    return (
        "its outline crosses itself; kept as an ignored region"
        if len(points) >= 3
        else "its outline has two points; kept as an ignored region"
    )


def _caption(example: Example) -> str:
    words: list[Any] = example.target["texts"]
    return f"{len(words)} words"


BUILDER = Builder(
    "text_set", TextSetConfig, plan, version=2, help="public text detection sets, from their folders"
)
