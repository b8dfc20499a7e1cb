"""A task's contract, tried on one example: it reads what it writes, scores what it declares, and ranks its errors.

A task that breaks it would train to the end and fail in the evaluation or when results are shown, so it is tried before. What
is asked is listed in the docstring of `ntil.data.task.Task`; docs/add_a_task.md is the way to a task that keeps it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from numbers import Real
from typing import Any, NoReturn

from ntil.data.answers import AnswerFormat
from ntil.data.example import Example
from ntil.data.magnitude import Magnitude
from ntil.data.task import Item, Metric, Task
from ntil.errors import UserError
from ntil.metrics.centre import KINDS
from ntil.numbers.text import find_numbers

BETTER = ("higher", "lower")
MUST_SAY = {
    "name": (str, 'a text: name = "thermometer"'),
    "version": (int, "a whole number: version = 1"),
    "metrics": (Mapping, 'a mapping: metrics = {"exact": Metric("exact", "higher", "share")}'),
    "headline": (str, 'the name of a metric: headline = "exact"'),
}
TAKEN = ("run", "split", "item")  # columns of results/scores/ beside the scores
MOST_DECIMALS = 12  # that results/ take
_RATIO_SIGNS = re.compile(r"[+/]")  # with which results/ write a ratio


def check_contract(task: Task, example: Example) -> None:
    """UserError that names the task's class and what it lacks, or the record that it cannot handle."""
    with blamed_on(task, example):
        _check_class(task)
        _check_metrics(task)
        parsed = _check_answer(task, example)
        _check_scores(task, parsed, example)
        _check_centre(task, parsed, example)


@contextmanager
def blamed_on(task: Task, example: Example) -> Iterator[None]:
    """Turns what a task's method raises about a record into a UserError that names both."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{_name(task)} fails on record {example.id}: {type(error).__name__}: {error}. "
            "A task must be able to ask, answer, read, score and rank each of its records."
        ) from error


def _check_class(task: Task) -> None:
    for attribute, (kind, form) in MUST_SAY.items():
        value = getattr(task, attribute, None)
        if not isinstance(value, kind) or isinstance(value, bool) or not value:
            _broken(task, f"its {attribute} is {value!r}; it needs {form}")
    for attribute in ("groups", "number_names"):
        names = getattr(task, attribute)
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            _broken(task, f'its {attribute} are {names!r}; they need a list of texts: {attribute} = ("one",)')
    if not isinstance(task.max_new_tokens, int) or task.max_new_tokens < 1:
        _broken(task, f"its max_new_tokens is {task.max_new_tokens!r}; it needs a whole number above 0")
    if not isinstance(task.magnitude, Magnitude):
        _broken(task, f"its magnitude is {task.magnitude!r} and no ntil.data.magnitude.Magnitude")
    if not isinstance(getattr(task, "format", None), AnswerFormat) and type(task).answer is Task.answer:
        _broken(task, "it has no format; give it an ntil.data.answers.AnswerFormat: format = NumberFormat()")


def _check_metrics(task: Task) -> None:
    for name, metric in task.metrics.items():
        if not (isinstance(name, str) and name and isinstance(metric, Metric)):
            _broken(
                task, f"its metrics hold {name!r}: {metric!r}; each needs a name and an ntil.data.task.Metric"
            )
        if metric.better not in BETTER:
            _broken(task, f"its metric {name} is better when {metric.better!r}, not {' or '.join(BETTER)}")
        if not (isinstance(metric.label, str) and metric.label and isinstance(metric.unit, str)):
            _broken(task, f"its metric {name} needs a label and a unit (which may be empty), both texts")
        if not (isinstance(metric.digits, int) and 0 <= metric.digits <= MOST_DECIMALS):
            _broken(
                task, f"its metric {name} has digits={metric.digits!r}, not 0 to {MOST_DECIMALS} decimals"
            )
        if metric.ratio is not None and (len(metric.ratio) != 2 or not all(map(_is_names, metric.ratio))):
            _broken(
                task,
                f"its metric {name} has the ratio {metric.ratio!r}; it needs two lists of names of scores, without "
                '+ and /: (("hits",), ("targets",))',
            )
    if task.headline not in task.metrics:
        _broken(task, f"its headline {task.headline!r} is none of its metrics ({', '.join(task.metrics)})")


def _is_names(side: Any) -> bool:
    return (
        isinstance(side, Sequence)
        and not isinstance(side, str)
        and len(side) > 0
        and all(isinstance(name, str) and name and not _RATIO_SIGNS.search(name) for name in side)
    )


def _check_answer(task: Task, example: Example) -> Any:
    """The true answer as it is read."""
    asked, answer = task.prompt(example), task.answer(example)
    for method, text in (("prompt", asked), ("answer", answer)):
        if not isinstance(text, str):
            _broken(task, f"{method}() gives {text!r} for record {example.id} and not a text")
    parsed = task.parse(answer)
    if parsed is None:
        _broken(task, f"parse() cannot read what answer() writes for record {example.id}: {answer!r}")
    if type(task).answer is Task.answer and type(task).parse is Task.parse:
        truth = task.truth(example)
        if parsed != truth:
            _broken(
                task, f"its format writes {truth!r} as {answer!r} and reads {parsed!r} (record {example.id})"
            )
    pattern = task.answer_pattern if type(task).answer is Task.answer else None
    if pattern is not None:
        try:
            matches = re.fullmatch(pattern, answer)
        except re.error as error:
            _broken(task, f"its format's pattern {pattern!r} is no regular expression: {error}")
        if matches is None:
            _broken(task, f"its format's pattern {pattern!r} does not match {answer!r} (record {example.id})")
    if task.number_names and len(task.number_names) != (count := len(find_numbers(answer))):
        names = ", ".join(task.number_names)
        _broken(task, f"its number_names are {names}, and the answer {answer!r} holds {count} numbers")
    if not isinstance(constant := task.constant([example]), str):
        _broken(task, f"constant() gives {constant!r} and not a text")
    return parsed


def _check_centre(task: Task, parsed: Any, example: Example) -> None:
    """Of the true answer alone it is an answer; `evaluation.decode=median` and `mean` write it."""
    if getattr(task, "format", None) is None:
        return
    for kind in KINDS:
        value = task.centre([parsed], [1.0], kind)
        if value is not None and task.parse(text := task.format.write(value)) is None:
            _broken(
                task,
                f"its centre (kind {kind}) of {parsed!r} alone is {value!r}, written {text!r}, which parse() cannot read",
            )


def _check_scores(task: Task, parsed: Any, example: Example) -> None:
    right, wrong = task.score(parsed, example), task.score(None, example)
    for kind, scores in (("the true answer", right), ("an answer that is none", wrong)):
        _check_names(task, scores, kind)
        if not _is_number(error := task.error(scores)):
            _broken(task, f"error() gives {error!r} for {kind} and not a number")
        if task.magnitude.measure is not None:
            off = task.magnitude.measure(scores)
            if off is not None and not _is_number(off):
                _broken(task, f"its magnitude measures {off!r} for {kind} and not a number or None")
    if task.error(right) > task.error(wrong):
        _broken(task, f"error() ranks the true answer of record {example.id} behind one that is none")
    whole = task.split_metrics([Item(example, parsed, right)])
    missing = [name for name, metric in task.metrics.items() if metric.of_split and name not in whole]
    if missing:
        _broken(task, f"split_metrics() lacks {', '.join(missing)}, which its metrics declare")


def _check_names(task: Task, scores: Mapping[str, Any], kind: str) -> None:
    wanted: set[str] = set()
    for name, metric in task.metrics.items():
        if metric.ratio is not None:
            wanted.update(*metric.ratio)
        elif not metric.of_split:
            wanted.add(name)
    if missing := sorted(wanted - scores.keys()):
        _broken(task, f"score() of {kind} lacks {', '.join(missing)}, which its metrics declare")
    if taken := [name for name in TAKEN if name in scores]:
        _broken(
            task,
            f"score() of {kind} has the name {taken[0]!r}, which is a column of results/scores/; rename it",
        )
    for name, score in sorted(scores.items()):
        if score is not None and not _is_number(score):
            _broken(task, f"score() of {kind} gives {score!r} for {name} and not a number")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and isfinite(value)


def _broken(task: Task, what: str) -> NoReturn:
    raise UserError(f"{_name(task)} does not keep a task's contract: {what}. See docs/add_a_task.md.")


def _name(task: Task) -> str:
    return f"{type(task).__module__}.{type(task).__qualname__}"
