"""Draw one concrete clock from the factors. Everything the picture depends on is in `Clock`, except its size.

hour hand   30° · (hour mod 12) + minute / 2      it moves on with the minutes
minute hand 6° · minute                           it stands on the minute, whatever the second hand shows
"""

import math
from dataclasses import dataclass

import numpy as np

from data_prep.clock.colour import RGB, difference, fade, jitter, rgb, stands_out
from data_prep.clock.placement import Placement, keep_inside
from data_prep.clock.style import Distractor, Faces, Style

NOISE_PER_CONTRAST = 0.2  # levels of noise at most, for each ΔE between hands and dial
OTHER_COLOUR = 25.0  # ΔE at least between second or alarm hand and the real ones


@dataclass(frozen=True)
class HandSpec:
    """One hand: the angle in degrees clockwise from 12, lengths in dial radii."""

    shape: str
    angle: float
    length: float
    width: float
    tail: float
    colour: RGB


@dataclass(frozen=True)
class ShadowSpec:
    """Offset in dial radii, blur as a share of the picture's side, strength as the share of light taken away."""

    right: float
    down: float
    blur: float
    strength: float


@dataclass(frozen=True)
class Clock:
    hour: int  # 1–12
    minute: int  # 0–59
    shape: str
    dial: RGB
    rim: RGB
    ink: RGB  # of ticks and numerals
    rim_width: float  # dial radii
    texture: float  # amplitude, share of the dial's brightness
    ticks: str
    tick_lengths: tuple[float, float]  # (hour, minute), dial radii
    tick_width: float
    numerals: str
    numeral_size: float  # dial radii
    radial: bool
    font: str
    hands: tuple[HandSpec, ...]  # from the dial upwards
    shadow: ShadowSpec | None
    background: str
    background_colours: tuple[RGB, RGB]
    background_angle: float  # degrees
    placement: Placement
    light: float
    contrast: float
    blur: float  # share of the picture's side
    noise: float  # levels of 0–255
    grain: int  # seeds texture and noise
    meta: dict[str, object]  # what a report may group errors by


def hand_angles(hour: int, minute: int) -> tuple[float, float]:
    """(hour hand, minute hand), degrees clockwise from 12."""
    return 30.0 * (hour % 12) + minute / 2, 6.0 * minute


def sample(style: Style, faces: Faces, rng: np.random.Generator) -> Clock:
    """One clock; the same generator state gives the same clock."""
    index = int(rng.integers(720))
    hour, minute = index // 60 + 1, index % 60
    shape, numerals, font = faces.shape.draw(rng), faces.numerals.draw(rng), faces.font.draw(rng)
    ticks, base_dial = style.marks.ticks.draw(rng), faces.dial.draw(rng)
    dial, ink, contrast = _colours(style, faces, base_dial, rng)
    hands = _hands(style, faces, hour, minute, ink, rng)
    placement = _placement(style, shape, numerals, ticks, rng)
    shadow = _shadow(style, rng)
    seen = difference(fade(dial, contrast), fade(ink, contrast))
    background = style.background.kind.draw(rng)
    background_colours = tuple(
        jitter(rgb(style.background.colour.draw(rng)), style.colour_jitter.draw(rng), rng) for _ in range(2)
    )
    return Clock(
        hour=hour,
        minute=minute,
        shape=shape,
        dial=dial,
        rim=jitter(rgb(faces.rim.draw(rng)), style.colour_jitter.draw(rng), rng),
        ink=ink,
        rim_width=style.dial.rim_width.draw(rng),
        texture=style.dial.texture.draw(rng),
        ticks=ticks,
        tick_lengths=(style.marks.hour_tick.draw(rng), style.marks.minute_tick.draw(rng)),
        tick_width=style.marks.tick_width.draw(rng),
        numerals=numerals,
        numeral_size=style.marks.numeral_size.draw(rng),
        radial=style.marks.radial_roman.draw(rng) and numerals.startswith("roman"),
        font=font,
        hands=tuple(hands.values()),
        shadow=shadow,
        background=background,
        background_colours=background_colours,  # type: ignore[arg-type]
        background_angle=float(rng.uniform(0, 360)),
        placement=placement,
        light=style.sensor.light.draw(rng),
        contrast=contrast,
        blur=style.sensor.blur.draw(rng) / 100,
        noise=min(style.sensor.noise.draw(rng), NOISE_PER_CONTRAST * seen),
        grain=int(rng.integers(2**63)),
        meta={
            "face": shape,
            "numerals": numerals,
            "ticks": ticks,
            "font": font if numerals != "none" else None,
            "hands": hands["minute"].shape,
            "dial": base_dial,
            "background": background,
            "seconds": "seconds" in hands,
            "alarm": "alarm" in hands,
            "shadow": shadow is not None,
            "rotation": round(placement.rotation, 1),  # degrees
            "tilt": round(placement.tilt, 1),  # degrees
            "contrast": round(seen, 1),  # ΔE hands to dial
        },
    )


def _colours(style: Style, faces: Faces, base_dial: str, rng: np.random.Generator) -> tuple[RGB, RGB, float]:
    """(dial, ink, picture contrast) such that the hands stay at least `hands.contrast` apart from the dial."""
    plain = rgb(base_dial)
    shifted = jitter(plain, style.colour_jitter.draw(rng), rng)
    drawn = style.sensor.contrast.draw(rng)
    inks = [rgb(ink) for ink in faces.ink.options]
    # Give up variety before legibility: first the faded picture, then the shifted dial. The last always works,
    # because a style whose dials lack an ink is refused when it is loaded.
    for dial, contrast in ((shifted, drawn), (shifted, 1.0), (plain, 1.0)):
        legible = [
            (ink, weight)
            for ink, weight in zip(inks, faces.ink.weights, strict=True)
            if stands_out(fade(ink, contrast), fade(dial, contrast), style.hands.contrast)
        ]
        if legible:
            break
    weights = np.array([weight for _, weight in legible])
    return dial, legible[int(rng.choice(len(legible), p=weights / weights.sum()))][0], contrast


def _hands(
    style: Style, faces: Faces, hour: int, minute: int, ink: RGB, rng: np.random.Generator
) -> dict[str, HandSpec]:
    """Hands by name, from the dial upwards: alarm, hour, minute, seconds."""
    factors = style.hands
    hour_angle, minute_angle = hand_angles(hour, minute)
    shape, tail = faces.hands.draw(rng), factors.tail.draw(rng)
    minute_length, hour_width = factors.minute_length.draw(rng), factors.hour_width.draw(rng)
    hour_length = min(factors.hour_length.draw(rng), minute_length * factors.length_ratio)
    minute_width = min(factors.minute_width.draw(rng), hour_width * factors.width_ratio)
    hands = {
        "alarm": _distractor(style.alarm, hour_length * 0.75, minute_width, ink, rng),
        "hour": HandSpec(shape, hour_angle, hour_length, hour_width, tail, ink),
        "minute": HandSpec(shape, minute_angle, minute_length, minute_width, tail, ink),
        "seconds": _distractor(style.seconds, 0.95, minute_width, ink, rng),
    }
    return {name: hand for name, hand in hands.items() if hand is not None}


def _distractor(
    factors: Distractor, longest: float, minute_width: float, ink: RGB, rng: np.random.Generator
) -> HandSpec | None:
    """Thinner than the real hands and of another colour; where no colour is different enough there is none."""
    wanted, colour = factors.probability.draw(rng), rgb(factors.colour.draw(rng))
    length, angle = min(factors.length.draw(rng), longest), 6.0 * int(rng.integers(60))
    width = min(factors.width.draw(rng), minute_width / 2)
    if not wanted or difference(colour, ink) < OTHER_COLOUR:
        return None
    return HandSpec("line", angle, length, width, 0.2 * length, colour)


def _placement(style: Style, shape: str, numerals: str, ticks: str, rng: np.random.Generator) -> Placement:
    camera, dial = style.camera, style.dial
    rotation = (camera.rotation if numerals == "none" else camera.rotation_with_numerals).draw(rng)
    tilt, direction = camera.tilt.draw(rng), float(rng.uniform(0, 360))
    if numerals == "none" and ticks == "none":
        rotation, tilt = 0.0, 0.0  # nothing on this dial says where 12 is
    offset = (dial.offset.draw(rng), dial.offset.draw(rng))
    placement = Placement(0.5 + offset[0], 0.5 + offset[1], dial.radius.draw(rng), rotation, tilt, direction)
    return keep_inside(placement, shape)


def _shadow(style: Style, rng: np.random.Generator) -> ShadowSpec | None:
    if not style.shadow.probability.draw(rng):
        return None
    angle, distance = math.radians(rng.uniform(0, 360)), style.shadow.distance.draw(rng)
    blur, strength = style.shadow.blur.draw(rng) / 100, style.shadow.strength.draw(rng)
    return ShadowSpec(distance * math.cos(angle), distance * math.sin(angle), blur, strength)
