"""Read one finished run folder into rows; whatever is wrong with it becomes one reason in words."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from experiments.errors.counts import error_rows
from ntil.data.task import contribution
from ntil.errors import UserError
from ntil.io import read_json, read_jsonl
from ntil.runs.run import COMPLETE, FREE_KEYS

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
TOLERANCE = 1e-6  # between a metric and the mean of its items' scores, relative


class BrokenRunError(Exception):
    """The folder cannot be used; the message is the reason."""


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
    if not (folder / "config.yaml").exists():
        raise BrokenRunError("it has no config.yaml, so it is no run folder")
    if not (folder / COMPLETE).exists():
        raise BrokenRunError("it is not complete; the launch command resumes it")
    try:
        return _read(folder)
    except KeyError as error:
        raise BrokenRunError(f"a file lacks the key {error}") from None
    except (UserError, OSError, YAMLError, OmegaConfBaseException) as error:
        raise BrokenRunError(" ".join(str(error).split())) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise BrokenRunError(f"a file has an unexpected form ({error})") from None


def _read(folder: Path) -> RunResult:
    config = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    if not isinstance(config, dict):
        raise BrokenRunError("config.yaml holds no settings")
    results = read_json(folder / "metrics.json")
    if results.get("schema") != SCHEMA:
        raise BrokenRunError(
            f"metrics.json has schema {results.get('schema')!r}; this version reads {SCHEMA}"
        )
    items = list(read_jsonl(folder / "predictions.jsonl"))
    _check_means(results, items)
    logged = list(read_jsonl(folder / "train.jsonl"))
    name = {"experiment": folder.parent.name, "run": folder.name}
    common = name | _facts(folder, config, results, logged)
    return RunResult(
        **name,
        rows=[common | row for row in _metric_rows(results)],
        scores=[{"run": folder.name} | row for row in _score_rows(items, results["splits"])],
        curves=[{"run": folder.name} | row for row in _curve_rows(logged)],
        errors=[
            {"run": folder.name} | row for row in error_rows(items, results["task"], [*results["splits"]])
        ],
        folder=folder,
    )


def _facts(
    folder: Path, config: dict[Any, Any], results: dict[str, Any], logged: list[dict[str, Any]]
) -> dict[str, str]:
    """The columns that all rows of the run share."""
    made = read_json(folder / "provenance.json")
    choices, packages, data = config["choices"], made["packages"], made["data"]
    return {
        "task": cell(results["task"]),
        "task_version": cell(results["task_version"]),
        "model": cell(choices["model"]),
        "loss": cell(choices["loss"]),
        "seed": cell(int(config["seed"])),
        "steps": cell(max((int(row["step"]) for row in logged), default=results["timing"].get("steps"))),
        "train_seconds": cell(results["timing"]["train_seconds"]),
        "device": cell(made["device"]),
        "threads": cell(made["threads"]),
        "commit": cell(made["commit"]),
        "dirty": cell(made["dirty"] if made["commit"] else None),  # outside a checkout nobody knows
        "config_hash": config_hash(config),
        "data_hash": data_hash(data),
        "torch": cell(packages.get("torch")),
        "transformers": cell(packages.get("transformers")),
        "overrides": " ".join(_overrides(folder)),
        "train_count": cell(_train_count(data, config)),
        "parameters": cell(made.get("parameters")),
    }


def _train_count(data: dict[str, Any], config: dict[Any, Any]) -> int | None:
    """Training examples in the data set, or the first so many that the trainer was told to use."""
    counts, limit = data.get("counts") or {}, (config.get("trainer") or {}).get("train_examples")
    known = [number for number in (counts.get("train"), limit) if number is not None]
    return min(known, default=None)


def config_hash(config: dict[Any, Any]) -> str:
    """sha256 over the resolved settings, without those that cannot change a result (paths, logger, launcher)."""
    return _digest({key: value for key, value in config.items() if key not in FREE_KEYS})


def data_hash(data: dict[str, Any]) -> str:
    """sha256 over the data set's own digests (`…sha256`), wherever its folder was; '' where it has none."""
    digests = {key: value for key, value in data.items() if key.endswith("sha256") and value}
    return _digest(digests) if digests else ""


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _overrides(folder: Path) -> list[str]:
    """What was typed beyond the choices that have columns of their own."""
    typed = OmegaConf.to_container(OmegaConf.load(folder / "overrides.yaml"))
    words = sorted(str(word) for word in typed) if isinstance(typed, list) else []
    return [word for word in words if _head(word) not in NOT_OVERRIDES]


def _head(word: str) -> str:
    """`+logger.mode=offline` → logger; but a setting below a choice (`loss.sigma=0.1`) is an override of its own."""
    key = word.lstrip("+~").partition("=")[0]
    first = key.split("@")[0].split("/")[0].split(".")[0]
    return first if "." not in key or first in (*FREE_KEYS, "hydra") else key


def _metric_rows(results: dict[str, Any]) -> Iterator[dict[str, str]]:
    for split, content in results["splits"].items():
        for metric, about in results["metrics"].items():
            if about["better"] not in ("higher", "lower"):
                raise BrokenRunError(
                    f"metric {metric} is better when {about['better']!r}; expected higher or lower"
                )
            yield {
                "split": split,
                "metric": metric,
                "value": cell(content["metrics"][metric]),
                "unit": cell(about["unit"]),
                "better": about["better"],
                "count": cell(content["count"]),
                "label": cell(about["label"]),
                "digits": cell(int(about["digits"])),
                "ratio": ratio_cell(about.get("ratio")),
            }


def _score_rows(items: list[dict[str, Any]], splits: dict[str, Any]) -> Iterator[dict[str, str]]:
    for item in items:
        if item["split"] in splits:
            scores = {metric: cell(score) for metric, score in item["scores"].items()}
            yield {"split": item["split"], "item": str(item["id"])} | scores


def _curve_rows(logged: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    latest: dict[tuple[int, str], float] = {}  # a resumed run logs some steps twice: the later line stands
    for row in logged:
        for key, value in row.items():
            if key not in ("step", "learning_rate") and isinstance(value, int | float):
                latest[int(row["step"]), key] = float(value)
    for (step, key), value in sorted(latest.items()):
        yield {"step": str(step), "key": key, "value": f"{value:.7g}"}  # nan and inf are worth seeing


def _check_means(results: dict[str, Any], items: list[dict[str, Any]]) -> None:
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
            parts = [contribution(row, metric, about.get("ratio")) for row in scores]
            above, below = (math.fsum(part[side] for part in parts) for side in (0, 1))
            if not all(map(math.isfinite, [above, below, *([] if value is None else [value])])):
                raise BrokenRunError(f"{metric} of {split} is not finite")
            mean = above / below if below else None
            if (mean is None) != (value is None) or (
                mean is not None and not math.isclose(mean, value, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
            ):
                raise BrokenRunError(
                    f"{metric} of {split} is {value} in metrics.json, {mean} in predictions.jsonl"
                )


def ratio_cell(ratio: Sequence[Sequence[str]] | None) -> str:
    """`matched+matched/targets+detections`; '' for a mean of the items' own scores."""
    return "/".join("+".join(names) for names in ratio) if ratio else ""


def cell(value: Any) -> str:
    """Text for a CSV cell: '' for None, shortest exact form for numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)
