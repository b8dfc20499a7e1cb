"""Rows of runs.csv, metrics.csv, scores/ and curves/ from what a run's files say."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from experiments.results.cells import Ratio
from experiments.results.fields import BrokenRunError, listing, mapping, maybe, number, text, whole
from experiments.results.rows import SCORES, CurveRow, MetricRow
from ntil.data.task import contribution

TOLERANCE = 1e-6  # between a metric and the mean of its items' scores, relative


def metric_rows(results: Mapping[str, Any], task: str) -> Iterator[MetricRow]:
    """What metrics.json says of each metric."""
    for metric, about in mapping(results["metrics"], "metrics").items():
        if about["better"] not in ("higher", "lower"):
            raise BrokenRunError(
                f"metric {metric} is better when {about['better']!r}; expected higher or lower"
            )
        yield MetricRow(
            task=task,
            metric=text(metric, "a metric"),
            label=text(about["label"], "label"),
            unit=text(about["unit"], "unit", empty=True),
            better=about["better"],
            decimals=whole(about["digits"], "digits", high=12),
            ratio=_ratio(about.get("ratio")),
        )


def value_rows(results: Mapping[str, Any], metrics: Iterable[MetricRow]) -> Iterator[dict[str, Any]]:
    """Of runs.csv, what a run's rows differ in."""
    for split, content in mapping(results["splits"], "splits").items():
        values = mapping(content["metrics"], "metrics")
        for about in metrics:
            yield {
                "split": text(split, "a split"),
                "metric": about.metric,
                "value": maybe(number, values[about.metric], f"{about.metric} of {split}"),
                "count": whole(content["count"], "count"),
            }


def score_rows(run: str, items: list[dict[str, Any]], splits: Mapping[str, Any]) -> pd.DataFrame:
    rows = [
        {"run": run, "split": item["split"], "item": item["id"]} | item["scores"]
        for item in items
        if item["split"] in splits
    ]
    frame = pd.DataFrame(rows, columns=None if rows else SCORES.key)
    return frame.astype({name: float for name in frame if name not in SCORES.key})


def curve_rows(run: str, logged: list[dict[str, Any]]) -> Iterator[CurveRow]:
    latest: dict[tuple[int, str], float] = {}  # a resumed run logs some steps twice: the later line stands
    for row in logged:
        for key, value in row.items():
            if key not in ("step", "learning_rate") and isinstance(value, int | float):
                latest[row["step"], key] = float(value)
    for (step, key), value in sorted(latest.items()):
        yield CurveRow(run, step, text(key, "a key"), value)  # nan and inf are worth seeing


def check_means(results: Mapping[str, Any], items: list[dict[str, Any]]) -> None:
    """metrics.json must be what predictions.jsonl says, or one of them belongs to another evaluation.

    A metric `of_split` cannot be computed from single items and is taken as it is.
    """
    for split, content in results["splits"].items():
        scores = [item["scores"] for item in items if item["split"] == split]
        ids = {item["id"] for item in items if item["split"] == split}
        if len(scores) != content["count"] or len(ids) != len(scores):
            raise BrokenRunError(
                f"metrics.json counts {content['count']} items in {split}, "
                f"predictions.jsonl has {len(scores)} with {len(ids)} ids"
            )
        for metric, value in content["metrics"].items():
            about = results["metrics"][metric]
            if about.get("of_split"):
                continue
            mean = _mean([contribution(row, metric, about.get("ratio")) for row in scores])
            if not _agree(value, mean):
                raise BrokenRunError(
                    f"{metric} of {split} is {value} in metrics.json, {mean} in predictions.jsonl"
                )


def _mean(parts: Sequence[tuple[float, float]]) -> float | None:
    """None of nothing; nan or inf where a score is."""
    above, below = ([part[side] for part in parts] for side in (0, 1))
    total = math.fsum(above) if all(map(math.isfinite, above)) else sum(above)
    count = math.fsum(below) if all(map(math.isfinite, below)) else sum(below)
    return total / count if count else None


def _agree(value: float | None, mean: float | None) -> bool:
    """Within TOLERANCE; what is not finite must be so in both."""
    if value is None or mean is None:
        return value is mean
    if math.isnan(value) or math.isnan(mean):
        return math.isnan(value) and math.isnan(mean)
    return math.isclose(value, mean, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _ratio(ratio: Sequence[Sequence[str]] | None) -> Ratio | None:
    if not ratio:
        return None
    sides = [[text(name, "a name in ratio") for name in listing(names, "a side of ratio")] for names in ratio]
    if len(sides) != 2 or not all(sides) or any(set("+/") & set(name) for side in sides for name in side):
        raise BrokenRunError(f"ratio is {ratio!r}; expected two lists of names")
    return tuple(sides[0]), tuple(sides[1])
