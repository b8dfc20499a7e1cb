"""Rows of runs.csv, scores/ and curves/ from what a run's files say."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.results.fields import BrokenRunError, listing, mapping, maybe, number, text, whole
from ntil.data.task import contribution

TOLERANCE = 1e-6  # between a metric and the mean of its items' scores, relative


def metric_rows(results: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    metrics = mapping(results["metrics"], "metrics")
    for split, content in mapping(results["splits"], "splits").items():
        values = mapping(content["metrics"], "metrics")
        for metric, about in metrics.items():
            if about["better"] not in ("higher", "lower"):
                raise BrokenRunError(
                    f"metric {metric} is better when {about['better']!r}; expected higher or lower"
                )
            yield {
                "split": text(split, "a split"),
                "metric": text(metric, "a metric"),
                "value": cell(maybe(number, values[metric], f"{metric} of {split}")),
                "unit": text(about["unit"], "unit", empty=True),
                "better": about["better"],
                "count": cell(whole(content["count"], "count")),
                "label": text(about["label"], "label"),
                "digits": cell(whole(about["digits"], "digits", high=12)),
                "ratio": ratio_cell(about.get("ratio")),
            }


def score_rows(items: list[dict[str, Any]], splits: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for item in items:
        if item["split"] in splits:
            scores = {metric: cell(score) for metric, score in item["scores"].items()}
            yield {"split": item["split"], "item": item["id"]} | scores


def curve_rows(logged: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    latest: dict[tuple[int, str], float] = {}  # a resumed run logs some steps twice: the later line stands
    for row in logged:
        for key, value in row.items():
            if key not in ("step", "learning_rate") and isinstance(value, int | float):
                latest[row["step"], key] = float(value)
    for (step, key), value in sorted(latest.items()):
        yield {
            "step": str(step),
            "key": text(key, "a key"),
            "value": f"{value:.7g}",
        }  # nan and inf are worth seeing


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


def ratio_cell(ratio: Sequence[Sequence[str]] | None) -> str:
    """`matched+matched/targets+detections`; '' for a mean of the items' own scores."""
    if not ratio:
        return ""
    sides = [[text(name, "a name in ratio") for name in listing(names, "a side of ratio")] for names in ratio]
    if len(sides) != 2 or not all(sides) or any(set("+/") & set(name) for side in sides for name in side):
        raise BrokenRunError(f"ratio is {ratio!r}; expected two lists of names")
    return "/".join("+".join(names) for names in sides)


def cell(value: Any) -> str:
    """Text for a CSV cell: '' for None, shortest exact form for numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)
