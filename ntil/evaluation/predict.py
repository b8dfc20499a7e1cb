"""Answers to a user's own pictures, printed with each token's probability and drawn over the pictures."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import pyplot as plt
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ntil.data.dataset import open_image
from ntil.data.example import Example
from ntil.errors import UserError
from ntil.evaluation.generate import Generated, Question, batches, generate
from ntil.evaluation.trained import Trained
from ntil.io import atomic_open

SUFFIXES = frozenset(Image.registered_extensions())
COLUMNS = 6  # pictures in a row of the drawing


class Answered(NamedTuple):
    path: Path
    image: Image.Image
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


def predict(trained: Trained, paths: list[Path], drawing: Path, batch_size: int) -> list[Path]:
    """Read each picture; print a table and write the drawing. Returns the files that could not be read."""
    pictures: list[tuple[Path, Image.Image]] = []
    failed: list[Path] = []
    console = Console()
    for path in paths:
        try:
            pictures.append((path, open_image(path)))
        except UserError as error:
            console.print(Text.assemble(("skipped: ", "red"), str(error)), soft_wrap=True)
            failed.append(path)
    if not pictures:
        raise UserError("none of the pictures could be read.")
    answers = answer(trained, pictures, batch_size)
    console.print(_table(answers))
    _draw(trained, answers, drawing)
    console.print(Text(f"drawn to {drawing}"), soft_wrap=True)
    return failed


def answer(trained: Trained, pictures: list[tuple[Path, Image.Image]], batch_size: int) -> list[Answered]:
    """The model's answer to the task's question for each picture."""
    prompt = trained.task.prompt(Example(id="", split="predict", target={}))
    answers: list[Answered] = []
    for span in batches(len(pictures), batch_size):
        chunk = [pictures[i] for i in span]
        said = generate(
            trained.model,
            trained.adapter,
            [Question(prompt, image) for _, image in chunk],
            trained.task.max_new_tokens,
        )
        answers += [
            Answered(*picture, s, trained.task.parse(s.text)) for picture, s in zip(chunk, said, strict=True)
        ]
    return answers


def _table(answers: list[Answered]) -> Table:
    table = Table("picture", "answer", "p(answer)", "each token with its probability")
    for item in answers:
        tokens = "  ".join(
            f"{t} {p:.2f}" for t, p in zip(item.said.tokens, item.said.probabilities, strict=True)
        )
        text = item.said.text if item.parsed is not None else f"{item.said.text!r} (not an answer)"
        table.add_row(*map(Text, (item.path.name, text, f"{math.prod(item.said.probabilities):.2f}", tokens)))
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
        axis.imshow(trained.task.draw(item.image, item.parsed, None))
        name = (
            item.path.name if len(item.path.name) <= 24 else f"{item.path.name[:11]}…{item.path.name[-12:]}"
        )
        axis.set_title(
            f"{item.said.text}   ({math.prod(item.said.probabilities):.2f})\n{name}",
            fontsize=8,
            parse_math=False,
        )
    with atomic_open(path, "wb") as file:
        figure.savefig(file, format="png", dpi=110)
    plt.close(figure)
