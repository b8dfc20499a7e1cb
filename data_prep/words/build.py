"""The data set of words."""

import numpy as np

from data_prep.generated import Drawn, generated
from data_prep.words.config import WordsConfig
from data_prep.words.draw import Look, look, render
from data_prep.words.place import Word, place
from ntil.data.example import Example


def draw_parameters(config: WordsConfig, split: str, rng: np.random.Generator) -> tuple[list[Word], Look]:
    """The words of one picture, and its colours."""
    words = place(config, rng, heldout=split == "heldout_fonts")
    return words, look(config, rng)


def drawn(config: WordsConfig, split: str, rng: np.random.Generator) -> Drawn:
    words, style = draw_parameters(config, split, rng)
    return Drawn(
        target={
            "polygons": [[[round(v * config.size, 2) for v in point] for point in w.outline] for w in words],
            "ignored": [word.illegible for word in words],
            "texts": [word.text for word in words],
            "width": config.size,
            "height": config.size,
        },
        meta={"set": config.name, "words": len(words)},
        picture=render(words, style, config.size),
    )


def caption(example: Example) -> str:
    texts, ignored = example.target["texts"], example.target["ignored"]
    return ", ".join(f"({text})" if skip else text for text, skip in zip(texts, ignored, strict=True))


BUILDER = generated(
    "words",
    WordsConfig,
    drawn,
    version=1,
    help="generated words on plain to textured ground, easy to hard",
    caption=caption,
)
