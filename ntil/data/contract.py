"""A task's contract, tried on one example: it reads what it writes, scores what it declares, and ranks its errors.

A task that breaks it would train to the end and fail in the evaluation, so it is tried before.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from numbers import Real
from typing import Any

from ntil.data.example import Example
from ntil.data.task import Item, Task
from ntil.errors import UserError

BETTER = ("higher", "lower")


def check_contract(task: Task, example: Example) -> None:
    """UserError that names the task's class and what it lacks, or the record that it cannot handle."""
    with blamed_on(task, example):
        _check(task, example)


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


def _check(task: Task, example: Example) -> None:
    if task.headline not in task.metrics:
        _broken(task, f"its headline {task.headline!r} is none of its metrics ({', '.join(task.metrics)})")
    for name, metric in task.metrics.items():
        if metric.better not in BETTER:
            _broken(task, f"its metric {name} is better when {metric.better!r}, not {' or '.join(BETTER)}")
    asked, answer = task.prompt(example), task.answer(example)
    for method, text in (("prompt", asked), ("answer", answer)):
        if not isinstance(text, str):
            _broken(task, f"{method}() gives {text!r} for record {example.id} and not a text")
    parsed = task.parse(answer)
    if parsed is None:
        _broken(task, f"parse() cannot read what answer() writes for record {example.id}: {answer!r}")
    right, wrong = task.score(parsed, example), task.score(None, example)
    for kind, scores in (("the true answer", right), ("an answer that is none", wrong)):
        _check_scores(task, scores, kind)
        if not _is_number(error := task.error(scores)):
            _broken(task, f"error() gives {error!r} for {kind} and not a number")
    if task.error(right) > task.error(wrong):
        _broken(task, f"error() ranks the true answer of record {example.id} behind one that is none")
    if not isinstance(constant := task.constant([example]), str):
        _broken(task, f"constant() gives {constant!r} and not a text")
    whole = task.split_metrics([Item(example, parsed, right)])
    missing = [name for name, metric in task.metrics.items() if metric.of_split and name not in whole]
    if missing:
        _broken(task, f"split_metrics() lacks {', '.join(missing)}, which its metrics declare")


def _check_scores(task: Task, scores: Mapping[str, Any], kind: str) -> None:
    wanted: set[str] = set()
    for name, metric in task.metrics.items():
        if metric.ratio is not None:
            wanted.update(*metric.ratio)
        elif not metric.of_split:
            wanted.add(name)
    if missing := sorted(wanted - scores.keys()):
        _broken(task, f"score() of {kind} lacks {', '.join(missing)}, which its metrics declare")
    for name in sorted(wanted):
        if scores[name] is not None and not _is_number(scores[name]):
            _broken(task, f"score() of {kind} gives {scores[name]!r} for {name} and not a number")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and isfinite(value)


def _broken(task: Task, what: str) -> None:
    raise UserError(f"{_name(task)} does not keep a task's contract: {what}.")


def _name(task: Task) -> str:
    return f"{type(task).__module__}.{type(task).__qualname__}"
