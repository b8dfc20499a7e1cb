"""The clock data set: every picture from its own random stream, so any of them can be made alone.

    generator of a picture = SeedSequence([seed, position of the split in SPLITS, index of the picture])

Asking for more pictures adds to a split and changes none; no two splits share a stream, and a picture whose bytes
an earlier split already holds is dropped and listed in the manifest.
"""

import io
from functools import partial

import numpy as np

from data_prep.clock.draw import render
from data_prep.clock.sample import Clock, sample
from data_prep.clock.style import SPLITS, ClockConfig
from data_prep.writer import Made, Plan
from ntil.data.example import Example

VERSION = 1  # raise it whenever the same config gives other pictures or records
COMPRESSION = 3  # zlib; noise hardly packs, and level 6 takes longer than drawing

Job = tuple[str, int]  # split, index


def plan(config: ClockConfig) -> Plan:
    jobs = [(split, index) for split in SPLITS for index in range(config.splits.get(split, 0))]
    return Plan(jobs=jobs, make=partial(make, config), caption=caption, unique_across_splits=True)


def draw_parameters(config: ClockConfig, split: str, index: int) -> Clock:
    """The concrete clock of one record."""
    rng = np.random.default_rng(np.random.SeedSequence([config.seed, SPLITS.index(split), index]))
    faces = config.style.faces.heldout if split == "heldout_faces" else config.style.faces.train
    return sample(config.style, faces, rng)


def make(config: ClockConfig, job: Job) -> Made:
    split, index = job
    clock = draw_parameters(config, split, index)
    example = Example(
        id=f"{split}-{index:06d}",
        split=split,
        image=f"images/{split}/{index:06d}.png",
        target={"hour": clock.hour, "minute": clock.minute},
        meta=clock.meta,
    )
    buffer = io.BytesIO()
    render(clock, config.size).save(buffer, format="PNG", compress_level=COMPRESSION)
    return Made(example, buffer.getvalue())


def caption(example: Example) -> str:
    """The time as people write it: "3:05"."""
    return f"{example.target['hour']}:{example.target['minute']:02d}"
