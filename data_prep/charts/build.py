"""The data set of charts, in the record format of MathVista."""

import numpy as np
from PIL import Image

from data_prep.charts.config import ChartsConfig
from data_prep.charts.draw import render
from data_prep.charts.question import UNITS, Question, draw_question, query
from data_prep.generated import Drawn, generated
from ntil.data.example import Example


def drawn(config: ChartsConfig, split: str, rng: np.random.Generator) -> Drawn:
    question = draw_question(config, rng)
    return item(config, question, render(question, config.largest_value, config.size, rng))


def item(config: ChartsConfig, question: Question, picture: Image.Image | None = None) -> Drawn:
    is_choice, precision = question.choices is not None, question.precision
    answer_type = "text" if is_choice else "float" if precision else "integer"
    question_type = "multi_choice" if is_choice else "free_form"
    return Drawn(
        query=query(question, config.wording),
        picture=picture,
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


BUILDER = generated(
    "charts",
    ChartsConfig,
    drawn,
    version=1,
    help="generated charts, gauges and rulers with questions, easy to hard",
    caption=caption,
)
