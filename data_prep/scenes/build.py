"""The data set of scenes: each picture from its own random stream, with one expression and the box that it names.

generator of a picture = SeedSequence([seed, position of the split in SPLITS, index of the picture])
"""

import io
from functools import partial

import numpy as np

from data_prep.scenes.config import SPLITS, ScenesConfig
from data_prep.scenes.draw import render
from data_prep.scenes.language import Expression, plain, related
from data_prep.scenes.sample import Scene, sample
from data_prep.writer import Made, Plan
from ntil.data.example import Example
from ntil.errors import UserError

VERSION = 1  # raise it whenever the same config gives other pictures or records
COMPRESSION = 3  # zlib
ATTEMPTS = 200  # scenes drawn for one picture before its config is given up

Job = tuple[str, int]  # split, index


def plan(config: ScenesConfig) -> Plan:
    jobs = [(split, index) for split in SPLITS for index in range(config.splits.get(split, 0))]
    return Plan(jobs=jobs, make=partial(make, config), caption=caption, unique_across_splits=True)


def asked(config: ScenesConfig, split: str, index: int) -> tuple[Scene, int, Expression]:
    """(the scene, which of its things is meant, how it is named). In heldout_pairs a held-out pair is meant."""
    rng = np.random.default_rng(np.random.SeedSequence([config.seed, SPLITS.index(split), index]))
    heldout = split == "heldout_pairs"
    for _ in range(ATTEMPTS):
        scene = sample(config, rng, heldout)
        places = [
            place
            for place, thing in enumerate(scene.things)
            if not heldout or f"{thing.colour} {thing.shape}" in config.heldout
        ]
        place = int(rng.choice(places))
        levels, wordy = plain(scene, scene.things[place], config.factors), config.extra_factor.draw(rng)
        choice = levels[min(int(wordy), len(levels) - 1)] if levels else []
        if config.relations.draw(rng):
            choice = list(related(scene, scene.things[place], config.factors)) or choice
        if choice:
            return scene, place, choice[int(rng.integers(len(choice)))]
    raise UserError(
        f"with factors = {config.factors} no object of {ATTEMPTS} scenes in a row could be told from the others; "
        "name more factors, colours, shapes or textures, or draw fewer objects."
    )


def make(config: ScenesConfig, job: Job) -> Made:
    split, index = job
    scene, place, expression = asked(config, split, index)
    picture, boxes = render(scene, config.size)
    thing = scene.things[place]
    example = Example(
        id=f"{split}-{index:06d}",
        split=split,
        image=f"images/{split}/{index:06d}.png",
        target={"boxes": [boxes[place]], "width": config.size, "height": config.size},
        meta={
            "category": thing.shape,
            "colour": thing.colour,
            "needs": expression.kind,
            "objects": len(scene.things),
        },
        query=str(expression),
    )
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=COMPRESSION)
    return Made(example, buffer.getvalue())


def caption(example: Example) -> str:
    return example.query or ""
