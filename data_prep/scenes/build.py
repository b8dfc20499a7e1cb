"""The data set of scenes: in each picture one expression and the box that it names."""

import numpy as np

from data_prep.generated import Drawn, generated
from data_prep.scenes.config import ScenesConfig
from data_prep.scenes.draw import render
from data_prep.scenes.language import Expression, plain, related
from data_prep.scenes.sample import Scene, sample
from ntil.errors import UserError

ATTEMPTS = 200  # scenes drawn for one picture before its config is given up


def asked(config: ScenesConfig, split: str, rng: np.random.Generator) -> tuple[Scene, int, Expression]:
    """(the scene, which of its things is meant, how it is named). In heldout_pairs a held-out pair is meant."""
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


def drawn(config: ScenesConfig, split: str, rng: np.random.Generator) -> Drawn:
    scene, place, expression = asked(config, split, rng)
    picture, boxes = render(scene, config.size)
    thing = scene.things[place]
    return Drawn(
        target={"boxes": [boxes[place]], "width": config.size, "height": config.size},
        meta={
            "category": thing.shape,
            "colour": thing.colour,
            "needs": expression.kind,
            "objects": len(scene.things),
        },
        query=str(expression),
        picture=picture,
    )


BUILDER = generated(
    "scenes",
    ScenesConfig,
    drawn,
    version=1,
    help="generated shapes with referring expressions, easy to hard",
)
