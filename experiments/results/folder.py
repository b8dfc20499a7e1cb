"""Read one finished run folder into rows; whatever is wrong with it becomes one reason in words."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.results.cells import is_plain_name
from experiments.results.error_counts import error_rows
from experiments.results.fields import BrokenRunError, listing, mapping, maybe, number, of, text, whole
from experiments.results.from_run import (
    TOLERANCE,
    check_means,
    curve_rows,
    metric_rows,
    score_rows,
    value_rows,
)
from experiments.results.overrides import overrides_of
from experiments.results.rows import SCORES, CurveRow, ErrorRow, MetricRow, RunRow
from ntil.io import read_json, read_jsonl
from ntil.nonfinite import restored
from ntil.runs.run import COMPLETE
from ntil.runs.sameness import FREE_KEYS
from ntil.runs.stored import read_stored_config

SCHEMA = 1  # of metrics.json
NOT_RUNS = ("logs",)  # the launcher's


@dataclass(frozen=True)
class RunResult:
    """A run, ready for the files in results/."""

    experiment: str
    run: str
    rows: list[RunRow]
    metrics: list[MetricRow]
    scores: pd.DataFrame  # columns as in Store.scores
    curves: list[CurveRow]
    errors: list[ErrorRow]
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
    experiment, run = folder.parent.name, folder.name
    with of("config.yaml"):
        config = read_stored_config(folder / "config.yaml")
    with of("metrics.json"):
        results = mapping(restored(read_json(folder / "metrics.json")), "all of it")
        if results.get("schema") != SCHEMA:
            raise BrokenRunError(f"it has schema {results.get('schema')!r}; this version reads {SCHEMA}")
        task = text(results["task"], "task")
        metrics = list(metric_rows(results, task))
        values = list(value_rows(results, metrics))
    with of("predictions.jsonl"):
        items = [_item(restored(row)) for row in read_jsonl(folder / "predictions.jsonl")]
        scores = score_rows(run, items, results["splits"])
        errors = list(error_rows(run, items, task, [*results["splits"]]))
    with of("metrics.json or predictions.jsonl"):
        check_means(results, items)
    with of("train.jsonl"):
        logged = [row | {"step": whole(row["step"], "step")} for row in read_jsonl(folder / "train.jsonl")]
        curves = list(curve_rows(run, logged))
    facts = {"experiment": experiment, "run": run, "task": task} | _facts(folder, config, results, logged)
    rows = [RunRow(**facts, **value) for value in values]
    return RunResult(experiment, run, rows, metrics, scores, curves, errors, folder)


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
    if clash := [name for name in row["scores"] if name in SCORES.key or not name]:
        raise BrokenRunError(f"a score is called {clash[0]!r}, which means something else")
    return row | {"id": str(row["id"])}


def _facts(
    folder: Path, config: dict[str, Any], results: Mapping[str, Any], logged: list[dict[str, Any]]
) -> dict[str, Any]:
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
        overrides = " ".join(overrides_of(folder))
    with of("provenance.json"):
        made = mapping(read_json(folder / "provenance.json"), "all of it")
        packages, data = mapping(made["packages"], "packages"), mapping(made["data"], "data")
        commit = maybe(text, made["commit"], "commit")
        return {
            "task_version": version,
            **chosen,
            "seed": seed,
            "steps": steps,
            "train_seconds": seconds,
            "device": text(made["device"], "device"),
            "threads": maybe(whole, made["threads"], "threads"),
            "commit": commit or "",
            "dirty": bool(made["dirty"]) if commit else None,  # outside a checkout nobody knows
            "config_hash": hashed,
            "data_hash": data_hash(data),
            **{key: maybe(text, packages.get(key), key) or "" for key in ("torch", "transformers")},
            "overrides": overrides,
            "train_count": _train_count(data, config),
            "parameters": maybe(whole, made.get("parameters"), "parameters"),
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
