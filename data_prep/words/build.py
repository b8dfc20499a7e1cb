"""The data set of words: each picture from its own random stream.

generator of a picture = SeedSequence([seed, position of the split in SPLITS, index of the picture])
"""

import io
from functools import partial

import numpy as np

from data_prep.words.config import SPLITS, WordsConfig
from data_prep.words.draw import Look, look, render
from data_prep.words.place import Word, place
from data_prep.writer import Made, Plan
from ntil.data.example import Example

VERSION = 1  # raise it whenever the same config gives other pictures or records
COMPRESSION = 3  # zlib

Job = tuple[str, int]  # split, index


def plan(config: WordsConfig) -> Plan:
    jobs = [(split, index) for split in SPLITS for index in range(config.splits.get(split, 0))]
    return Plan(jobs=jobs, make=partial(make, config), caption=caption, unique_across_splits=True)


def draw_parameters(config: WordsConfig, split: str, index: int) -> tuple[list[Word], Look]:
    """The words of one picture, and its colours."""
    rng = np.random.default_rng(np.random.SeedSequence([config.seed, SPLITS.index(split), index]))
    words = place(config, rng, heldout=split == "heldout_fonts")
    return words, look(config, rng)


def make(config: WordsConfig, job: Job) -> Made:
    split, index = job
    words, style = draw_parameters(config, split, index)
    example = Example(
        id=f"{split}-{index:06d}",
        split=split,
        image=f"images/{split}/{index:06d}.png",
        target={
            "polygons": [[[round(v * config.size, 2) for v in point] for point in w.outline] for w in words],
            "ignored": [word.illegible for word in words],
            "texts": [word.text for word in words],
            "width": config.size,
            "height": config.size,
        },
        meta={"set": config.name, "words": len(words)},
    )
    buffer = io.BytesIO()
    render(words, style, config.size).save(buffer, format="PNG", compress_level=COMPRESSION)
    return Made(example, buffer.getvalue())


def caption(example: Example) -> str:
    texts, ignored = example.target["texts"], example.target["ignored"]
    return ", ".join(f"({text})" if skip else text for text, skip in zip(texts, ignored, strict=True))
