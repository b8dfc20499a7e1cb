"""The clock data set."""

import numpy as np

from data_prep.clock.caption import shown_time
from data_prep.clock.draw import render
from data_prep.clock.sample import Clock, sample
from data_prep.clock.style import ClockConfig
from data_prep.generated import Drawn, generated


def draw_parameters(config: ClockConfig, split: str, rng: np.random.Generator) -> Clock:
    """The concrete clock of one record."""
    faces = config.style.faces.heldout if split == "heldout_faces" else config.style.faces.train
    return sample(config.style, faces, rng)


def drawn(config: ClockConfig, split: str, rng: np.random.Generator) -> Drawn:
    clock = draw_parameters(config, split, rng)
    target = {"hour": clock.hour, "minute": clock.minute}
    return Drawn(target, clock.meta, picture=render(clock, config.size))


BUILDER = generated(
    "clock", ClockConfig, drawn, version=1, help="generated analog clocks, easy to hard", caption=shown_time
)
