"""What is said of a split's answers: its entry of metrics.json, and the lines for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ntil.data.example import Example
from ntil.data.task import Item, Task, aggregate
from ntil.evaluation.baselines import baselines
from ntil.evaluation.intervals import intervals
from ntil.evaluation.truth import cut_answers, true_answers
from ntil.models import Subject


class Scored(NamedTuple):
    """Predictions (the rows of predictions.jsonl), the same as items, and their metrics."""

    rows: list[dict[str, Any]]
    items: list[Item]
    metrics: dict[str, float | None]


def summed_up(
    subject: Subject, scored: Scored, train: Sequence[Example], constant: str | None, constrained: bool
) -> dict[str, Any]:
    """What metrics.json says of a split. train, constant: the training examples and their one best answer, for the baselines."""
    task, examples = subject.task, [item.example for item in scored.items]
    unanswered = [f"{row['id']}: {row['unanswered']}" for row in scored.rows if "unanswered" in row]
    return {
        "count": len(examples),
        "metrics": scored.metrics,
        "intervals": intervals(task, scored.items),
        "groups": by_group(task, scored.items),
        "baselines": {
            **(baselines(task, train, examples, constant) if train else {}),
            "true": true_answers(subject.adapter, task, examples, constrained),
        },
        "unanswered": len(unanswered),
        **({"unanswered_first": unanswered[0]} if unanswered else {}),
    }


def told(
    subject: Subject, split: str, examples: Sequence[Example], result: Mapping[str, Any]
) -> Iterator[str]:
    """The lines about a split. result: as `summed_up` gives it."""
    task = subject.task
    yield f"{split} ({len(examples)}): {summary(task, result['metrics'])}"
    for name, metrics in result["baselines"].items():
        yield f"  a {name} answer: {summary(task, metrics)}"
    if result["unanswered"]:
        yield (
            f"  {result['unanswered']} of {len(examples)} could not be asked and count as wrong; {result['unanswered_first']}"
        )
    if cut := cut_answers(subject.adapter, task, examples):
        yield (
            f"  warning: task.max_new_tokens={task.max_new_tokens} cuts {cut} of {len(examples)} true answers, which cannot be "
            "written whole; the model was trained for shorter ones"
        )


def by_group(task: Task, items: list[Item]) -> dict[str, dict[str, Any]]:
    """Key of `meta` → its value → count and metrics of the items that have it."""
    result: dict[str, dict[str, Any]] = {}
    for key in task.groups:
        members: dict[str, list[Item]] = {}
        for item in items:
            if key in item.example.meta:
                members.setdefault(str(item.example.meta[key]), []).append(item)
        result[key] = {
            value: {"count": len(group), "metrics": aggregate(task, group)}
            for value, group in sorted(members.items())
        }
    return result


def summary(task: Task, metrics: dict[str, float | None]) -> str:
    """One line: "exact 0.871, ±1 min 0.935, …"."""

    def shown(name: str) -> str:
        value = metrics[name]
        return "–" if value is None else format(value, f".{task.metrics[name].digits}f")

    return ", ".join(f"{metric.label} {shown(name)}" for name, metric in task.metrics.items())
