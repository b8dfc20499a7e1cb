"""Answers to a user's own questions, printed with each token's probability and drawn over the pictures, if any."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import pyplot as plt
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ntil.data.example import Example
from ntil.data.pictures import SUFFIXES, open_image
from ntil.errors import UserError
from ntil.evaluation.generate import Generated, Question, batches, generate
from ntil.evaluation.trained import Trained
from ntil.io import atomic_open

COLUMNS = 6  # pictures in a row of the drawing


class Asked(NamedTuple):
    """What to call the question in the table, and its picture."""

    name: str
    image: Image.Image | None


class Answered(NamedTuple):
    asked: Asked
    said: Generated
    parsed: Any | None


def find_pictures(path: Path) -> list[Path]:
    """The picture itself, or those of a folder (by their file endings, sorted, not deeper)."""
    if not path.exists():
        raise UserError(f"input {path} does not exist.")
    if path.is_file():
        return [path]
    found = sorted(child for child in path.iterdir() if child.is_file() and child.suffix.lower() in SUFFIXES)
    if not found:
        raise UserError(f"the folder {path} holds no pictures (no file with an ending such as .png or .jpg).")
    return found


def predict(
    trained: Trained, paths: list[Path], query: str | None, drawing: Path, batch_size: int
) -> list[Path]:
    """Answer `query` for each picture, or alone where there are none; print a table and write the drawing.

    Returns the files that could not be read.
    """
    pictures: list[Asked] = [] if paths else [Asked(query or "", None)]
    failed: list[Path] = []
    console = Console()
    for path in paths:
        try:
            pictures.append(Asked(path.name, open_image(path)))
        except UserError as error:
            console.print(Text.assemble(("skipped: ", "red"), str(error)), soft_wrap=True)
            failed.append(path)
    if not pictures:
        raise UserError("none of the pictures could be read.")
    answers = answer(trained, pictures, query, batch_size)
    console.print(_table(answers))
    if paths:
        _draw(trained, answers, drawing)
        console.print(Text(f"drawn to {drawing}"), soft_wrap=True)
    return failed


def answer(trained: Trained, questions: list[Asked], query: str | None, batch_size: int) -> list[Answered]:
    """The model's answer to the task's question for each picture."""
    prompt = trained.task.prompt(Example(id="", split="predict", target={}, query=query))
    answers: list[Answered] = []
    for span in batches(len(questions), batch_size):
        chunk = [questions[i] for i in span]
        said = generate(
            trained.model,
            trained.adapter,
            [Question(prompt, asked.image) for asked in chunk],
            trained.task.max_new_tokens,
        )
        answers += [
            Answered(asked, s, trained.task.parse(s.text)) for asked, s in zip(chunk, said, strict=True)
        ]
    return answers


def _table(answers: list[Answered]) -> Table:
    table = Table("question", "answer", "p(answer)", "each token with its probability")
    for item in answers:
        tokens = "  ".join(
            f"{t} {p:.2f}" for t, p in zip(item.said.tokens, item.said.probabilities, strict=True)
        )
        text = item.said.text if item.parsed is not None else f"{item.said.text!r} (not an answer)"
        table.add_row(
            *map(Text, (item.asked.name, text, f"{math.prod(item.said.probabilities):.2f}", tokens))
        )
    return table


def _draw(trained: Trained, answers: list[Answered], path: Path) -> None:
    columns = min(COLUMNS, len(answers))
    rows = math.ceil(len(answers) / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.1 * columns, 2.45 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, item in zip(axes.flat, answers, strict=False):
        assert item.asked.image is not None
        axis.imshow(trained.task.draw(item.asked.image, item.parsed, None))
        name = (
            item.asked.name
            if len(item.asked.name) <= 24
            else f"{item.asked.name[:11]}…{item.asked.name[-12:]}"
        )
        axis.set_title(
            f"{item.said.text}   ({math.prod(item.said.probabilities):.2f})\n{name}",
            fontsize=8,
            parse_math=False,
        )
    with atomic_open(path, "wb") as file:
        figure.savefig(file, format="png", dpi=110)
    plt.close(figure)
