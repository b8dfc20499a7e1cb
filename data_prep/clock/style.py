"""The schema of everything that may vary between two clocks. Values live in conf/data/clock_*.yaml."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from data_prep.clock.colour import rgb, stands_out
from data_prep.clock.shapes import EDGES, HANDS
from data_prep.generated import Generated
from data_prep.schema import Choice, Of, Probability, Range, Within
from ntil.errors import UserError, did_you_mean

NUMERALS = ("none", "arabic", "roman", "arabic_quarters", "roman_quarters")
TICKS = ("none", "hours", "minutes")
BACKGROUNDS = ("plain", "gradient", "stripes", "texture")


@cache
def fonts_folder() -> str:
    """The TrueType fonts that ship inside matplotlib: the same letters on every machine."""
    import matplotlib  # here, because it takes a third of a second and only numerals need it

    return os.path.join(matplotlib.get_data_path(), "fonts", "ttf")


@dataclass(frozen=True)
class Faces:
    """What a dial looks like. `train` faces make train, val and test; `heldout` faces only heldout_faces."""

    shape: Annotated[Choice, Of(EDGES)]
    numerals: Annotated[Choice, Of(NUMERALS)]
    font: Choice  # file names in matplotlib's font folder, without .ttf
    hands: Annotated[Choice, Of(HANDS)]
    dial: Choice  # colours, "#rrggbb"
    ink: Choice  # colours of hands and marks; only those that stand out from the dial are drawn
    rim: Choice  # colours

    def __post_init__(self) -> None:
        for choice in (self.dial, self.ink, self.rim):
            for code in choice.options:
                rgb(code)
        known = sorted(name[:-4] for name in os.listdir(fonts_folder()) if name.startswith("DejaVu"))
        for font in self.font.options:
            if font not in known:
                raise UserError(
                    f"there is no font {font!r}.{did_you_mean(font, known)} Fonts: {', '.join(known)}."
                )


@dataclass(frozen=True)
class FaceLists:
    """The two lists of faces; they may share numerals and inks, and nothing else that makes a face."""

    train: Faces
    heldout: Faces

    def __post_init__(self) -> None:
        for part in ("shape", "font", "hands", "dial"):
            one, other = getattr(self.train, part).options, getattr(self.heldout, part).options
            if shared := sorted(set(one) & set(other)):
                raise UserError(
                    f"train and heldout share {part} {', '.join(shared)}; a held-out face must be new."
                )


@dataclass(frozen=True)
class Dial:
    radius: Annotated[Range, Within(0.1, 0.5, "picture sides")]
    offset: Annotated[
        Range, Within(-0.5, 0.5, "picture sides")
    ]  # of the centre, each way; kept inside the picture
    rim_width: Annotated[Range, Within(0.0, 0.2, "dial radii")]
    texture: Annotated[Range, Within(0.0, 0.3, "of the dial's brightness")]


@dataclass(frozen=True)
class Marks:
    ticks: Annotated[Choice, Of(TICKS)]
    hour_tick: Annotated[Range, Within(0.02, 0.3, "dial radii")]  # length
    minute_tick: Annotated[Range, Within(0.01, 0.2, "dial radii")]  # length
    tick_width: Annotated[
        Range, Within(0.005, 0.1, "dial radii")
    ]  # of an hour tick; minute ticks are half as wide
    numeral_size: Annotated[Range, Within(0.05, 0.4, "dial radii")]  # height of a capital, about
    radial_roman: Probability  # Roman numerals stand with their feet to the centre


@dataclass(frozen=True)
class Hands:
    hour_length: Annotated[Range, Within(0.2, 0.8, "dial radii")]
    minute_length: Annotated[Range, Within(0.4, 0.95, "dial radii")]
    hour_width: Annotated[Range, Within(0.02, 0.25, "dial radii")]
    minute_width: Annotated[Range, Within(0.015, 0.2, "dial radii")]
    tail: Annotated[Range, Within(0.0, 0.3, "dial radii")]  # behind the pivot
    length_ratio: Annotated[float, Within(0.3, 0.85, "hour length / minute length")]  # at most
    width_ratio: Annotated[float, Within(0.3, 1.0, "minute width / hour width")]  # at most
    contrast: Annotated[
        float, Within(15.0, 95.0, "ΔE between hands and dial")
    ]  # at least, half of it in lightness


@dataclass(frozen=True)
class Distractor:
    """A hand that does not tell the time. It is thinner than both real hands, and of another colour."""

    probability: Probability
    length: Annotated[Range, Within(0.1, 0.95, "dial radii")]
    width: Annotated[Range, Within(0.005, 0.1, "dial radii")]
    colour: Choice

    def __post_init__(self) -> None:
        for code in self.colour.options:
            rgb(code)


@dataclass(frozen=True)
class Shadow:
    probability: Probability
    distance: Annotated[Range, Within(0.0, 0.2, "dial radii")]
    blur: Annotated[Range, Within(0.0, 5.0, "% of the picture's side")]
    strength: Annotated[Range, Within(0.0, 0.8, "of the light taken away")]


@dataclass(frozen=True)
class Background:
    kind: Annotated[Choice, Of(BACKGROUNDS)]
    colour: Choice

    def __post_init__(self) -> None:
        for code in self.colour.options:
            rgb(code)


@dataclass(frozen=True)
class Camera:
    """A dial with neither ticks nor numerals is always seen upright and head-on: nothing else says where 12 is."""

    rotation: Annotated[
        Range, Within(-10.0, 10.0, "degrees")
    ]  # with ticks alone: under half of their 30° step
    rotation_with_numerals: Annotated[Range, Within(-45.0, 45.0, "degrees")]
    tilt: Annotated[
        Range, Within(0.0, 40.0, "degrees")
    ]  # of the dial away from the picture's plane, any direction


@dataclass(frozen=True)
class Sensor:
    light: Annotated[Range, Within(0.0, 0.6, "of the light lost across the picture")]
    contrast: Annotated[Range, Within(0.3, 1.0, "of full contrast")]
    blur: Annotated[Range, Within(0.0, 2.0, "% of the picture's side")]  # standard deviation of the Gaussian
    noise: Annotated[Range, Within(0.0, 40.0, "levels of 0–255")]  # standard deviation


@dataclass(frozen=True)
class Style:
    """All factors of one difficulty."""

    faces: FaceLists
    colour_jitter: Annotated[Range, Within(0.0, 40.0, "levels of 0–255")]
    dial: Dial
    marks: Marks
    hands: Hands
    seconds: Distractor
    alarm: Distractor
    shadow: Shadow
    background: Background
    camera: Camera
    sensor: Sensor

    def __post_init__(self) -> None:
        hands = self.hands
        if hands.hour_length.low > hands.minute_length.low * hands.length_ratio:
            raise UserError("hands: hour_length.low must be at most minute_length.low × length_ratio.")
        if hands.minute_width.low > hands.hour_width.low * hands.width_ratio:
            raise UserError("hands: minute_width.low must be at most hour_width.low × width_ratio.")
        for name, faces in (("train", self.faces.train), ("heldout", self.faces.heldout)):
            for dial in faces.dial.options:
                if not any(stands_out(rgb(ink), rgb(dial), hands.contrast) for ink in faces.ink.options):
                    raise UserError(
                        f"faces.{name}: no ink stands out from the dial {dial} by hands.contrast = "
                        f"{hands.contrast:g} (ΔE, half of it in lightness)."
                    )


@dataclass(frozen=True)
class ClockConfig(Generated):
    """One generated data set: conf/data/clock_easy.yaml and its siblings."""

    SPLITS = ("train", "val", "test", "heldout_faces")

    size: Annotated[int, Within(16, 2048, "pixels")]  # width and height of the pictures
    style: Style
