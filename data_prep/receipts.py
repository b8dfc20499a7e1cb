"""Scanned receipts with their totals (SROIE), each cut around the amount that is asked for, or whole.

    <raw>/train/000.jpg     the scan
    <raw>/train/000.txt     eight integers and a text a line: where what is printed
    <raw>/train/000.json    {"date": "…", "total": "RM 12.80"}

The total is looked for in the texts: of the lines that show this amount the tallest counts, the last of equals. A scan that is
there twice is taken once. `crop` cuts a square
around it, so many times as high as that line (wider where the line is), so that a small picture shows it as large as a large one.
It gives away where the total is, and asks to read it; crop null keeps the whole receipt.

meta.legible says whether the line is at least LEGIBLE pixels high, in the scan and in the picture: below, digits run into each other.
"""

import io
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated

from PIL import Image

from data_prep.builder import Builder
from data_prep.pictures import read_picture
from data_prep.schema import Within
from data_prep.sources import read_text
from data_prep.text_sets.files import ID, Part, Places, pairs
from data_prep.text_sets.layouts import LAYOUTS, Points, Word
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError
from ntil.io import inside, sha256

LEGIBLE = 7  # pixels of the line's height: of 84 totals looked at, up to ten of each of nine heights, smaller ones were seldom sure
AMOUNT = re.compile(r"(?<![\d.,])-?(?:\d{1,3}(?:,\d{3})+|\d+)\.\d\d(?![\d.])", re.ASCII)
_TOTAL = re.compile(r"(?:RM|MYR|\$)?\s*(-?(?:\d{1,3}(?:,\d{3})+|\d+)\.\d\d)", re.ASCII)
WIDER = 1.25  # times the line's width, where that is more than the crop


@dataclass(frozen=True)
class ReceiptPart(Part):
    """totals: files with what the receipts say, JSON with a key `total`."""

    totals: Places


@dataclass(frozen=True)
class ReceiptsConfig:
    """conf/data/receipts.yaml and its sibling."""

    name: str
    builder: str
    home: str  # where its owners publish it
    raw: str  # the folder with the unpacked files
    parts: dict[str, ReceiptPart]
    val: Annotated[int, Within(0, 100_000)]  # the last so many training receipts become val
    crop: Annotated[float, Within(1, 100, "heights of the line")] | None
    size: Annotated[int, Within(16, 4096, "pixels")]  # of the longer side; a crop is square


@dataclass(frozen=True)
class Job:
    split: str
    index: int
    image: str  # below raw
    total: str
    line: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the scan
    low: str = ""
    high: str = ""


def plan(config: ReceiptsConfig) -> Plan:
    skipped: list[Skipped] = []
    splits: dict[str, list[Job]] = {}
    first: dict[str, str] = {}  # sha256 of a scan → where it was first
    for split, part in config.parts.items():
        found = _receipts(config, split, part, skipped, first)
        kept = len(found) - config.val if split == "train" else len(found)
        splits.setdefault(split, []).extend(found[:kept])
        splits.setdefault("val", []).extend(found[kept:])
    totals = [Decimal(job.total) for job in splits.get("train", ())]
    if not totals:
        raise UserError(
            f"{config.name} has no receipt to train on: {len(skipped)} were left out, val takes {config.val}."
        )
    low, high = f"{min(totals)}", f"{max(totals)}"
    jobs = [
        Job(split, index, job.image, job.total, job.line, low, high)
        for split, members in splits.items()
        for index, job in enumerate(members)
    ]
    return Plan(jobs=jobs, make=partial(make, config), skipped=skipped, unique_across_splits=True)


def make(config: ReceiptsConfig, job: Job) -> Made | Skipped:
    picture = read_picture(inside(config.raw, job.image), frame="stored")
    if isinstance(picture, str):
        return Skipped(job.image, picture)
    left, top, right, bottom = job.line
    image = picture.image()
    if config.crop is not None:
        side = max(config.crop * (bottom - top), WIDER * (right - left))
        x, y = (left + right) / 2, (top + bottom) / 2
        box = tuple(map(round, (x - side / 2, y - side / 2, x + side / 2, y + side / 2)))
        image = _cut(image, box)  # type: ignore[arg-type]
    scale = config.size / max(image.size)
    size = tuple(max(1, round(edge * scale)) for edge in image.size)
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(buffer, format="PNG")  # type: ignore[arg-type]
    height = (bottom - top) * min(1.0, scale)
    example = Example(
        id=f"{job.split}-{Path(job.image).stem}",
        split=job.split,
        image=f"images/{job.split}/{job.index:06d}.png",
        target={"value": job.total, "low": job.low, "high": job.high},
        meta={"legible": "yes" if height >= LEGIBLE else "no", "source": job.image},
    )
    return Made(example, buffer.getvalue())


def _cut(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """The part of the scan; what lies beyond its edges is white."""
    part = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), "white")
    part.paste(image, (-box[0], -box[1]))
    return part


def _receipts(
    config: ReceiptsConfig, split: str, part: ReceiptPart, skipped: list[Skipped], first: dict[str, str]
) -> list[Job]:
    raw, found = Path(config.raw), []
    for pair in pairs(raw, part, f"The owners of {config.name} publish it at {config.home}"):
        if isinstance(pair, Skipped):
            skipped.append(pair)
            continue
        image = pair[0].relative_to(raw).as_posix()
        if (before := first.setdefault(sha256(pair[0]), image)) != image:
            skipped.append(Skipped(f"{image} (as {before})", "the same scan as an earlier one"))
            continue
        total = _total(raw, part, pair[0].stem)
        line = None if total is None else _line(list(LAYOUTS["sroie"](pair[1])), total)
        if total is None or line is None:
            why = (
                "its total is missing or no amount above 0"
                if total is None
                else "no line of it shows the total"
            )
            skipped.append(Skipped(image, why))
        else:
            found.append(Job(split, 0, image, f"{total}", line))
    return found


def _total(raw: Path, part: ReceiptPart, name: str) -> Decimal | None:
    """The amount that a receipt's file says; None where there is none above 0."""
    for pattern in part.totals:
        text = read_text(inside(raw, pattern.replace(ID, name)))
        if text is None:
            continue
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            return None
        found = _TOTAL.fullmatch(str(said.get("total", "")).strip()) if isinstance(said, dict) else None
        amount = None if found is None else _amount(found[1])
        return amount if amount is not None and amount > 0 else None
    return None


def _line(words: list[Word | object], total: Decimal) -> tuple[float, float, float, float] | None:
    """Of the lines that show the amount the tallest, the last of equals; None where none does."""
    best: tuple[float, float, float, float] | None = None
    for word in words:
        if isinstance(word, Word) and total in map(_amount, AMOUNT.findall(word.text)):
            box = _bounds(word.points)
            if box[3] > box[1] and (best is None or box[3] - box[1] >= best[3] - best[1]):
                best = box
    return best


def _amount(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _bounds(points: Points) -> tuple[float, float, float, float]:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


BUILDER = Builder(
    "receipts", ReceiptsConfig, plan, version=1, help="totals of scanned receipts, from their folders"
)
