"""Answers to a user's own questions, printed with each token's probability (and where decoding is not greedy with intervals), and
drawn over the pictures, if any.

Pictures are read, answered and shrunk for the drawing a batch at a time, so that a folder of any size fits into memory.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ntil.data.example import Example
from ntil.data.pictures import SUFFIXES, open_image
from ntil.errors import UserError
from ntil.escape import terminal, visible
from ntil.evaluation.candidates import answer_with_candidates, encode_with_place
from ntil.evaluation.decode import INTERVALS, check_decoding, decided
from ntil.evaluation.draw import figure_of
from ntil.evaluation.generate import Generated, Question, batches, generate
from ntil.evaluation.memory import WithinMemory
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.trained import Trained
from ntil.runs import processes

COLUMNS, ROWS = 6, 10  # pictures in the drawing, at most
THUMBNAIL = 320  # pixels of a drawn picture's longer side, at most
LONGEST = 24  # letters of an answer or a file's name above its picture


class Asked(NamedTuple):
    """What to call the question in the table, and its picture."""

    name: str
    image: Image.Image | None
    place: int = 0  # among all that are asked


class Answered(NamedTuple):
    asked: Asked
    said: Generated
    parsed: Any | None
    # None where decoding is greedy, {} where answers are no numbers.
    intervals: Mapping[str, Sequence[float]] | None = None

    @property
    def sure(self) -> str:
        """The probability of the whole answer; of a middle of several its share of the candidates."""
        if self.said.candidates is not None:
            return f"{self.said.candidates.weights.get(self.said.text, 0.0):.2f}"
        return f"{math.prod(self.said.probabilities):.2f}"


class Shown(NamedTuple):
    """What is left of a question once its batch is done: its row of the table, and its picture for the drawing."""

    row: tuple[Text, ...]
    thumbnail: Image.Image | None = None
    title: str = ""


class Batch(NamedTuple):
    """What is left of a batch, and the files of it that could not be read (at −1) or drawn (at their place in `shown`)."""

    shown: list[Shown]
    failures: list[tuple[int, Path, str]]  # and what is said of them


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
    trained: Trained,
    paths: Sequence[Path],
    query: str | None,
    drawing: Path,
    batch_size: int,
    settings: EvaluationSettings | None = None,
) -> list[Path]:
    """Answer `query` for each picture, or alone where there are none; print a table and write the drawing.

    The drawing has the first COLUMNS × ROWS pictures. Returns the files that could not be read or drawn. All of a command's
    processes call it, each answers its batches, and the first one prints and draws. settings: of the decoding; null for greedy.
    """
    batch_size = max(1, batch_size // (settings.rows if settings is not None else 1))
    answer(trained, [], query)  # before any picture is read
    check_decoding(trained.task, "greedy" if settings is None else settings.decode)
    spans = list(batches(len(paths), batch_size))
    within = WithinMemory[Asked, Answered](lambda asked: answer(trained, asked, query, settings), batch_size)
    done: dict[int, Batch] = {}
    room = COLUMNS * ROWS
    for number in range(processes.rank(), len(spans), processes.count()):
        done[number] = _batch(trained, within, {paths[i]: i for i in spans[number]}, room)
        room -= sum(one.thumbnail is not None for one in done[number].shown)
    if not paths and processes.is_first():
        asked = [Asked(query or "", None)]
        done[0] = Batch([Shown(_row(one)) for one in answer(trained, asked, query, settings)], [])
    for part in processes.gathered(done):
        done |= part
    console = Console()
    failed: list[Path] = []
    shown: list[Shown] = []
    room = COLUMNS * ROWS  # each process had as much; what one alone would not have drawn is left out
    for _, batch in sorted(done.items()):
        for place, path, what in batch.failures:
            if place < room:
                console.print(Text(terminal(what), style="red"), soft_wrap=True)
                failed.append(path)
        drawn = [one if place < room else Shown(one.row) for place, one in enumerate(batch.shown)]
        room -= sum(one.thumbnail is not None for one in drawn)
        shown += drawn
    if not shown:
        raise UserError("none of the pictures could be read.")
    processes.by_first(lambda: _show(console, shown, drawing))
    return failed


def _show(console: Console, shown: Sequence[Shown], drawing: Path) -> None:
    spread = ("in between are 50 %", "90 %") if len(shown[0].row) > 4 else ()
    table = Table("question", "answer", "p(answer)", *spread, "each token with its probability")
    for one in shown:
        table.add_row(*one.row)
    console.print(table)
    if pictures := [one for one in shown if one.thumbnail is not None]:
        _draw(pictures, drawing)
        some = (
            f" (the first {len(pictures)} of {len(shown)})"
            if len(pictures) == COLUMNS * ROWS < len(shown)
            else ""
        )
        console.print(Text(f"drawn to {drawing}{some}"), soft_wrap=True)


def _batch(
    trained: Trained, within: WithinMemory[Asked, Answered], paths: Mapping[Path, int], room: int
) -> Batch:
    """Of the pictures that can be read, the first `room` of them with a thumbnail. paths: with their places."""
    failures: list[tuple[int, Path, str]] = []
    read: dict[Path, Asked] = {}
    for path, place in paths.items():
        try:
            read[path] = Asked(path.name, open_image(path), place)
        except UserError as error:
            failures.append((-1, path, f"skipped: {error}"))
    answers = within.answer(list(read.values()))
    shown = []
    for number, (path, item) in enumerate(zip(read, answers, strict=True)):
        one = Shown(_row(item))
        if number < room:
            try:
                one = Shown(one.row, _thumbnail(trained, item), _title(item))
            except Exception as error:  # noqa: BLE001  (a task's own drawing, of any picture and answer)
                failures.append((number, path, f"not drawn: {path}: {type(error).__name__}: {error}"))
        shown.append(one)
    return Batch(shown, failures)


def answer(
    trained: Trained,
    questions: Sequence[Asked],
    query: str | None,
    settings: EvaluationSettings | None = None,
) -> list[Answered]:
    """The model's answer to the task's question for each picture of one batch."""
    task, adapter = trained.task, trained.adapter
    example = Example(id="", split="predict", target={}, query=query)
    prompt = task.prompt(example)
    adapter.question_ids(prompt)  # SpellingError where it cannot be asked
    if not questions:
        return []
    asked = [Question(prompt, one.image, one.place) for one in questions]
    if settings is None or settings.decode == "greedy":
        said = generate(trained.model, adapter, asked, task.max_new_tokens)
        return [Answered(q, s, task.parse(s.text)) for q, s in zip(questions, said, strict=True)]
    rows = [encode_with_place(adapter, question) for question in asked]
    said = answer_with_candidates(trained.model, adapter, rows, task.max_new_tokens, None, settings)
    answers = []
    for question, one in zip(questions, said, strict=True):
        chosen, told = decided(task, one, example, settings.decode, settings.reading)
        spread = {name: told["distribution"][name] for name in INTERVALS if name in told["distribution"]}
        answers.append(Answered(question, chosen, task.parse(chosen.text), spread))
    return answers


def _row(item: Answered) -> tuple[Text, ...]:
    tokens = "  ".join(f"{t} {p:.2f}" for t, p in zip(item.said.tokens, item.said.probabilities, strict=True))
    text = item.said.text if item.parsed is not None else f"{item.said.text!r} (not an answer)"
    spread = [] if item.intervals is None else [_spread(item.intervals.get(name)) for name in INTERVALS]
    return tuple(Text(terminal(cell)) for cell in (item.asked.name, text, item.sure, *spread, tokens))


def _spread(ends: Sequence[float] | None) -> str:
    return "–" if ends is None else " … ".join(f"{end:.12g}" for end in ends)


def _thumbnail(trained: Trained, item: Answered) -> Image.Image:
    assert item.asked.image is not None
    image = trained.task.draw(item.asked.image, item.parsed, None).copy()
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return image


def _title(item: Answered) -> str:
    name, said = visible(item.asked.name), visible(item.said.text)
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 2 - 1]}…{name[-LONGEST // 2 :]}"
    if len(said) > LONGEST:
        said = f"{said[: LONGEST - 1]}…"
    return f"{said}   ({item.sure})\n{name}"


def _draw(pictures: Sequence[Shown], path: Path) -> None:
    columns = min(COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    with figure_of(path, 2.1 * columns, 2.45 * rows) as figure:
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis in axes.flat:
            axis.axis("off")
        for axis, one in zip(axes.flat, pictures, strict=False):
            axis.imshow(one.thumbnail)
            axis.set_title(one.title, fontsize=8, parse_math=False)
