"""The base of generated data sets: how many items in which split, from which seed, and each from its own random stream.

    @dataclass(frozen=True)
    class ThermometersConfig(Generated):            name, builder, seed and splits are there already
        size: Annotated[int, Within(32, 2048, "pixels")]

    def draw(config, split, rng) -> Drawn:          one item: everything that is random comes from rng
        …
        return Drawn(target={"value": "-12.5"}, picture=image)

    BUILDER = generated("thermometers", ThermometersConfig, draw, version=1, help="drawn thermometers")

    generator of an item = SeedSequence([seed, position of the split in SPLITS, index of the item])

So any item can be made alone, asking for more items adds to a split and changes none, and no two splits share a stream. A
picture whose bytes an earlier split already holds is dropped and listed in the manifest.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
from PIL import Image

from data_prep.builder import Builder
from data_prep.contact_sheet import said
from data_prep.schema import Within
from data_prep.writer import Made, Plan
from ntil.data.example import Example
from ntil.errors import UserError, did_you_mean

COMPRESSION = 3  # zlib; noise hardly packs, and level 6 takes longer than drawing

Job = tuple[str, int]  # split, index


@dataclass(frozen=True)
class Generated:
    """Base of the configs of generated sets; a subclass adds what may vary, and its checks behind `super().__post_init__()`.

    SPLITS     the splits there may be. A split's position seeds it: append, never reorder
    ITEMS      what a split counts
    MOST       items of a split
    """

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    ITEMS: ClassVar[str] = "pictures"
    MOST: ClassVar[int] = 10_000_000

    name: str
    builder: str
    seed: Annotated[int, Within(0, 2**63 - 1)]
    splits: dict[str, int]  # items in each

    def __post_init__(self) -> None:
        for split, count in self.splits.items():
            if split not in self.SPLITS:
                near = did_you_mean(split, self.SPLITS)
                raise UserError(f"splits has no {split!r}.{near} Splits: {', '.join(self.SPLITS)}.")
            if not 0 <= count <= self.MOST:
                raise UserError(f"splits.{split} = {count} is outside 0 to {self.MOST:,} {self.ITEMS}.")
        if not sum(self.splits.values()):
            raise UserError(f"splits asks for no {self.ITEMS.removesuffix('s')} at all.")

    def stream(self, split: str, index: int) -> np.random.Generator:
        """The random stream of one item."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, self.SPLITS.index(split), index]))


@dataclass(frozen=True)
class Drawn:
    """An item without its place in the set; see `ntil.data.example.Example` for target, meta and query."""

    target: dict[str, Any]
    meta: dict[str, Any] = field(default_factory=dict)
    query: str | None = None
    picture: Image.Image | None = None


C = TypeVar("C", bound=Generated)
Draw = Callable[[C, str, np.random.Generator], Drawn]


def generated(
    name: str,
    config: type[C],
    draw: Draw[C],
    version: int,
    help: str,
    caption: Callable[[Example], str] = said,
) -> Builder:
    """The builder of a generated set. draw, caption: functions of a module, since worker processes import them."""
    return Builder(name, config, partial(plan, draw, caption), version, help)


def plan(draw: Draw[C], caption: Callable[[Example], str], config: C) -> Plan:
    jobs = [(split, index) for split in config.SPLITS for index in range(config.splits.get(split, 0))]
    return Plan(jobs=jobs, make=partial(make, draw, config), caption=caption, unique_across_splits=True)


def make(draw: Draw[C], config: C, job: Job) -> Made:
    """One record, `<split>-<index>`, and its picture as PNG."""
    split, index = job
    drawn = draw(config, split, config.stream(split, index))
    path = None if drawn.picture is None else f"images/{split}/{index:06d}.png"
    example = Example(f"{split}-{index:06d}", split, drawn.target, path, drawn.meta, drawn.query)
    if drawn.picture is None:
        return Made(example)
    buffer = io.BytesIO()
    drawn.picture.save(buffer, format="PNG", compress_level=COMPRESSION)
    return Made(example, buffer.getvalue())
