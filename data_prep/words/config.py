"""What may vary in a data set of words: the schema of conf/data/words_*.yaml."""

import os
from dataclasses import dataclass
from typing import Annotated

import matplotlib

from data_prep.generated import Generated
from data_prep.schema import Choice, Of, Probability, Range, Within
from ntil.errors import UserError

FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Oblique", "DejaVuSerif"),
    *("DejaVuSerif-Bold", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmtt10", "cmss10"),
)


def font_file(name: str) -> str:
    """Fonts come with matplotlib, so that every machine draws the same letters."""
    return os.path.join(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")


@dataclass(frozen=True)
class FontLists:
    train: Annotated[Choice, Of(FONTS)]  # train, val and test
    heldout: Annotated[Choice, Of(FONTS)]  # heldout_fonts


@dataclass(frozen=True)
class WordsConfig(Generated):
    """One generated data set: conf/data/words_easy.yaml and its siblings."""

    SPLITS = ("train", "val", "test", "heldout_fonts")

    size: Annotated[int, Within(32, 2048, "pixels")]  # width and height of the pictures
    words: Annotated[Range, Within(0, 20, "words")]  # in a picture, whole numbers of it
    line: Probability  # that two words stand as one line, with one outline
    height: Annotated[Range, Within(0.05, 0.5, "picture sides")]  # font size
    turn: Annotated[Range, Within(-90, 90, "degrees")]  # of the baseline
    bend: Annotated[Range, Within(0, 180, "degrees")]  # that the baseline turns from end to end, either way
    illegible: Probability  # that a word is blurred beyond reading: an ignored region
    gap: Annotated[float, Within(0.0, 0.2, "picture sides")]  # between any two outlines, at least
    contrast: Annotated[Range, Within(40, 255, "levels of 0–255")]  # between ink and ground
    texture: Annotated[Range, Within(0.0, 1.0, "strength of the background's blotches")]
    noise: Annotated[Range, Within(0.0, 40.0, "levels of 0–255")]  # standard deviation
    fonts: FontLists

    def __post_init__(self) -> None:
        super().__post_init__()
        if shared := set(self.fonts.train.options) & set(self.fonts.heldout.options):
            raise UserError(f"fonts.heldout must not be trained on: {', '.join(sorted(shared))}.")
