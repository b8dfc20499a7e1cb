"""The data set of charts: each picture from its own random stream, in the record format of MathVista.

generator of a picture = SeedSequence([seed, position of the split in SPLITS, index of the picture])
"""

import io
from functools import partial

import numpy as np

from data_prep.charts.config import SPLITS, ChartsConfig
from data_prep.charts.draw import render
from data_prep.charts.question import UNITS, Question, draw_question, query
from data_prep.writer import Made, Plan
from ntil.data.example import Example

VERSION = 1  # raise it whenever the same config gives other pictures or records
COMPRESSION = 3  # zlib

Job = tuple[str, int]  # split, index


def plan(config: ChartsConfig) -> Plan:
    jobs = [(split, index) for split in SPLITS for index in range(config.splits.get(split, 0))]
    return Plan(jobs=jobs, make=partial(make, config), caption=caption, unique_across_splits=True)


def make(config: ChartsConfig, job: Job) -> Made:
    split, index = job
    rng = np.random.default_rng(np.random.SeedSequence([config.seed, SPLITS.index(split), index]))
    question = draw_question(config, rng)
    buffer = io.BytesIO()
    picture = render(question, config.largest_value, config.size, rng)
    picture.save(buffer, format="PNG", compress_level=COMPRESSION)
    return Made(record(config, split, index, question), buffer.getvalue())


def record(config: ChartsConfig, split: str, index: int, question: Question) -> Example:
    is_choice, precision = question.choices is not None, question.precision
    answer_type = "text" if is_choice else "float" if precision else "integer"
    question_type = "multi_choice" if is_choice else "free_form"
    return Example(
        id=f"{split}-{index:06d}",
        split=split,
        image=f"images/{split}/{index:06d}.png",
        query=query(question, config.wording),
        target={
            "question_type": question_type,
            "answer_type": answer_type,
            "choices": list(question.choices) if question.choices else None,
            "unit": UNITS.get(question.kind) if config.wording == "natural" and not is_choice else None,
            "precision": precision,
            "answer": question.answer,
        },
        meta={
            "kind": question.kind,
            "task": question.ask,
            "question_type": question_type,
            "answer_type": answer_type,
            "items": list(question.items),
            "data": question.data,
        },
    )


def caption(example: Example) -> str:
    return f"{example.query} {example.target['answer']}"
