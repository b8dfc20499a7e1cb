"""One concrete scene, drawn from a config: objects that do not touch, each with the factors that language can name."""

from dataclasses import dataclass

import numpy as np

from data_prep.scenes.config import FRAME, ScenesConfig
from ntil.errors import UserError

ATTEMPTS = 200  # to place an object before the scene starts over
RESTARTS = 200  # of a scene before its config is given up


@dataclass(frozen=True)
class Thing:
    """An object. Centre and radius in picture sides, x to the right, y down; `size` is "small", "large" or ""."""

    shape: str
    colour: str
    texture: str
    size: str
    x: float
    y: float
    radius: float
    turn: float  # degrees


@dataclass(frozen=True)
class Scene:
    things: tuple[Thing, ...]
    shade: float  # brightness of the background, 0–1
    background: float  # strength of its texture
    noise: float  # levels of 0–255
    grain: int  # seed of the background and the noise


def sample(config: ScenesConfig, rng: np.random.Generator, heldout: bool) -> Scene:
    """A scene; of a held-out split one thing is a held-out pair, of the others none is."""
    for _ in range(RESTARTS):
        things = _things(config, rng, heldout)
        if things is not None:
            return Scene(
                things,
                shade=float(rng.uniform(0.45, 0.75)),
                background=config.background.draw(rng),
                noise=config.noise.draw(rng),
                grain=int(rng.integers(2**31)),
            )
    raise UserError(
        f"no room for {config.objects.low:g} to {config.objects.high:g} objects of radius {config.radius.low:g} to "
        f"{config.radius.high:g} (size_ratio {config.size_ratio:g}, gap {config.gap:g}); make them fewer or smaller."
    )


def _things(config: ScenesConfig, rng: np.random.Generator, heldout: bool) -> tuple[Thing, ...] | None:
    wanted = int(rng.integers(int(config.objects.low), int(config.objects.high) + 1))
    things: list[Thing] = []
    for number in range(wanted):
        if heldout and number == 0:
            colour, shape = config.heldout[int(rng.integers(len(config.heldout)))].split(" ")
        else:
            colour, shape = _pair(config, rng)
        thing = _placed(config, rng, colour, shape, things)
        if thing is None:
            return None
        things.append(thing)
    order = rng.permutation(len(things))  # the held-out one is not always drawn first
    return tuple(things[i] for i in order)


def _pair(config: ScenesConfig, rng: np.random.Generator) -> tuple[str, str]:
    while True:
        colour, shape = config.colours.draw(rng), config.shapes.draw(rng)
        if f"{colour} {shape}" not in config.heldout:
            return colour, shape


def _placed(
    config: ScenesConfig, rng: np.random.Generator, colour: str, shape: str, others: list[Thing]
) -> Thing | None:
    size = ("small", "large")[int(rng.integers(2))] if config.size_ratio > 1 else ""
    texture, turn = config.textures.draw(rng), float(rng.uniform(-12, 12))
    radius = config.radius.draw(rng) * config.scale(size)
    for _ in range(ATTEMPTS):
        x, y = rng.uniform(radius + FRAME, 1 - FRAME - radius, size=2)
        apart = (max(abs(x - o.x), abs(y - o.y)) - radius - o.radius >= config.gap for o in others)
        if all(apart):
            return Thing(shape, colour, texture, size, float(x), float(y), radius, turn)
    return None
