"""Read one finished run folder into rows; whatever is wrong with it becomes one reason in words."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.csv_files import is_plain_name
from experiments.errors.counts import error_rows
from experiments.fields import BrokenRunError, listing, mapping, maybe, number, of, text, whole
from experiments.store import SCORE_KEYS
from ntil.data.task import contribution
from ntil.io import read_json, read_jsonl
from ntil.nonfinite import restored
from ntil.runs.run import COMPLETE, FREE_KEYS
from ntil.runs.stored import read_stored_config, read_stored_yaml

SCHEMA = 1  # of metrics.json
# Said by columns of their own, or without influence on the numbers.
NOT_OVERRIDES = (
    "task",
    "model",
    "loss",
    "seed",
    "experiment",
    "experiment_name",
    "name",
    "hydra",
    *FREE_KEYS,
)
NOT_RUNS = ("logs",)  # the launcher's
TOLERANCE = 1e-6  # between a metric and the mean of its items' scores, relative


@dataclass(frozen=True)
class RunResult:
    """A run as text cells, ready for the files in results/."""

    experiment: str
    run: str
    rows: list[dict[str, str]]  # one for each split and metric: runs.csv
    scores: list[dict[str, str]]  # one for each evaluated item: scores/<experiment>.csv.gz
    curves: list[dict[str, str]]  # one for each logged step and value: curves/<experiment>.csv
    errors: list[dict[str, str]]  # counts over the predictions: errors/<experiment>.csv
    folder: Path


def read_run(folder: Path) -> RunResult:
    """The run in outputs/<experiment>/<run>; BrokenRunError says why it cannot be used."""
    for name in (folder.parent.name, folder.name):
        if not is_plain_name(name) or name in NOT_RUNS:
            raise BrokenRunError(
                f"the name {name!r} cannot be collected: it starts with a dot, has more than 220 bytes, holds what cannot be "
                f"printed, or is the launcher's ({', '.join(NOT_RUNS)}). Rename the folder"
            )
    with of("the folder"):
        _refuse_unfinished(folder)
    return _read(folder)


def _refuse_unfinished(folder: Path) -> None:
    if not (folder / "config.yaml").exists():
        deeper = next((path.parent.name for path in sorted(folder.glob("*/config.yaml"))), None)
        if deeper is not None:
            raise BrokenRunError(
                f"the run {folder.name}/{deeper} is a folder too deep, and a run's name holds no /. Move it up"
            )
        raise BrokenRunError("it has no config.yaml, so it is no run folder")
    if not (folder / COMPLETE).exists():
        raise BrokenRunError("it is not complete; the launch command resumes it")


def _read(folder: Path) -> RunResult:
    with of("config.yaml"):
        config = read_stored_config(folder / "config.yaml")
    with of("metrics.json"):
        results = mapping(restored(read_json(folder / "metrics.json")), "all of it")
        if results.get("schema") != SCHEMA:
            raise BrokenRunError(f"it has schema {results.get('schema')!r}; this version reads {SCHEMA}")
        metric_rows, task = list(_metric_rows(results)), text(results["task"], "task")
    with of("predictions.jsonl"):
        items = [_item(restored(row)) for row in read_jsonl(folder / "predictions.jsonl")]
        scores, errors = (
            list(_score_rows(items, results["splits"])),
            list(error_rows(items, task, [*results["splits"]])),
        )
    with of("metrics.json or predictions.jsonl"):
        _check_means(results, items)
    with of("train.jsonl"):
        logged = [row | {"step": whole(row["step"], "step")} for row in read_jsonl(folder / "train.jsonl")]
        curves = list(_curve_rows(logged))
    name = {"experiment": folder.parent.name, "run": folder.name}
    common = name | {"task": task} | _facts(folder, config, results, logged)
    mine = {"run": folder.name}
    return RunResult(
        **name,
        rows=[common | row for row in metric_rows],
        scores=[mine | row for row in scores],
        curves=[mine | row for row in curves],
        errors=[mine | row for row in errors],
        folder=folder,
    )


def _item(row: dict[str, Any]) -> dict[str, Any]:
    """A line of predictions.jsonl with its types checked; the id as text."""
    if not isinstance(row["id"], int):
        text(row["id"], "id")
    text(row["split"], "split")
    for key in ("text", "answer"):
        if not isinstance(row[key], str):
            raise BrokenRunError(f"{key} of {row['id']} is no text")
    for probability in listing(row.get("probabilities", []), "probabilities"):
        if probability is not None and not 0 <= number(probability, "a probability") <= 1 + TOLERANCE:
            raise BrokenRunError(f"a probability of {row['id']} is {probability}; expected 0 to 1")
    if not all(isinstance(token, str) for token in listing(row.get("tokens", []), "tokens")):
        raise BrokenRunError(f"a token of {row['id']} is no text")
    for name, score in mapping(row["scores"], "scores").items():
        maybe(number, score, f"the score {name} of {row['id']}")
    if clash := [name for name in row["scores"] if name in SCORE_KEYS or not name]:
        raise BrokenRunError(f"a score is called {clash[0]!r}, which means something else")
    return row | {"id": str(row["id"])}


def _facts(
    folder: Path, config: dict[str, Any], results: Mapping[str, Any], logged: list[dict[str, Any]]
) -> dict[str, str]:
    """The columns that all rows of the run share."""
    with of("config.yaml"):
        choices = mapping(config["choices"], "choices")
        chosen = {key: text(choices[key], f"choices.{key}") for key in ("model", "loss")}
        seed, hashed = whole(config["seed"], "seed", low=-(10**15)), config_hash(config)
    with of("metrics.json"):
        timing = mapping(results["timing"], "timing")
        steps = max(
            (row["step"] for row in logged), default=maybe(whole, timing.get("steps"), "timing.steps")
        )
        seconds = maybe(number, timing["train_seconds"], "timing.train_seconds", finite=True)
        version = whole(results["task_version"], "task_version")
    with of("overrides.yaml"):
        overrides = " ".join(_overrides(folder))
    with of("provenance.json"):
        made = mapping(read_json(folder / "provenance.json"), "all of it")
        packages, data = mapping(made["packages"], "packages"), mapping(made["data"], "data")
        commit = maybe(text, made["commit"], "commit")
        return {
            "task_version": cell(version),
            **chosen,
            "seed": cell(seed),
            "steps": cell(steps),
            "train_seconds": cell(seconds),
            "device": text(made["device"], "device"),
            "threads": cell(maybe(whole, made["threads"], "threads")),
            "commit": cell(commit),
            "dirty": cell(bool(made["dirty"])) if commit else "",  # outside a checkout nobody knows
            "config_hash": hashed,
            "data_hash": data_hash(data),
            **{key: cell(maybe(text, packages.get(key), key)) for key in ("torch", "transformers")},
            "overrides": overrides,
            "train_count": cell(_train_count(data, config)),
            "parameters": cell(maybe(whole, made.get("parameters"), "parameters")),
        }


def _train_count(data: Mapping[str, Any], config: Mapping[str, Any]) -> int | None:
    """Training examples in the data set, or the first so many that the trainer was told to use."""
    counts, trainer = (
        mapping(node or {}, "counts or trainer") for node in (data.get("counts"), config.get("trainer"))
    )
    known = [
        whole(value, name)
        for name, value in (
            ("counts.train", counts.get("train")),
            ("train_examples", trainer.get("train_examples")),
        )
        if value is not None
    ]
    return min(known, default=None)


def config_hash(config: dict[Any, Any]) -> str:
    """sha256 over the resolved settings, without those that cannot change a result (paths, logger, launcher)."""
    return _digest({key: value for key, value in config.items() if key not in FREE_KEYS})


def data_hash(data: Mapping[str, Any]) -> str:
    """sha256 over the data set's own digests (`…sha256`), wherever its folder was; '' where it has none."""
    digests = {key: value for key, value in data.items() if key.endswith("sha256") and value}
    return _digest(digests) if digests else ""


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _overrides(folder: Path) -> list[str]:
    """What was typed beyond the choices that have columns of their own."""
    typed = listing(read_stored_yaml(folder / "overrides.yaml"), "all of it")
    words = sorted(text(str(word), "a word") for word in typed)
    return [word for word in words if _head(word) not in NOT_OVERRIDES]


def _head(word: str) -> str:
    """`+logger.mode=offline` → logger; but a setting below a choice (`loss.sigma=0.1`) is an override of its own."""
    key = word.lstrip("+~").partition("=")[0]
    first = key.split("@")[0].split("/")[0].split(".")[0]
    return first if "." not in key or first in (*FREE_KEYS, "hydra") else key


def _metric_rows(results: Mapping[str, Any]) -> Iterator[dict[str, str]]:
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


def _score_rows(items: list[dict[str, Any]], splits: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for item in items:
        if item["split"] in splits:
            scores = {metric: cell(score) for metric, score in item["scores"].items()}
            yield {"split": item["split"], "item": item["id"]} | scores


def _curve_rows(logged: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
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


def _check_means(results: Mapping[str, Any], items: list[dict[str, Any]]) -> None:
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
