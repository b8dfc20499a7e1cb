"""Run folders as train.py leaves them, with made-up numbers."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

METRICS = {
    "exact": {"label": "exact", "better": "higher", "unit": "share", "digits": 3},
    "within_1": {"label": "±1 min", "better": "higher", "unit": "share", "digits": 3},
    "gap_circular": {"label": "gap, circular", "better": "lower", "unit": "minutes", "digits": 2},
    "gap_plain": {"label": "gap, plain", "better": "lower", "unit": "minutes", "digits": 2},
}
Scores = Mapping[str, Sequence[Mapping[str, float | None]]]  # split → an item's scores


def write_run(
    outputs: Path,
    scores: Scores,
    *,
    experiment: str = "demo",
    loss: str = "ce",
    seed: int = 0,
    model: str = "tiny",
    overrides: Sequence[str] = (),
    name: str | None = None,
    commit: str | None = "0123456789abcdef",
    steps: int = 600,
    data: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    curves: Sequence[Mapping[str, Any]] | None = None,
    metrics: Mapping[str, tuple[Mapping[str, Any], Mapping[str, float | None]]] | None = None,
    task: str = "clock",
    answers: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> Path:
    """A complete run; returns its folder. metrics: name → (how it is read, its value by split), beside the means.

    answers: by split, what is to stand in each item's line (see `said`).
    """
    run = name or ",".join([f"clock-{model}-{loss}-seed{seed}", *overrides])
    folder = outputs / experiment / run
    folder.mkdir(parents=True)
    settings = {
        "seed": seed,
        "experiment_name": experiment,
        "name": run,
        "choices": {"task": "clock", "model": model, "loss": loss},
        "paths": {"outputs": str(outputs), "data": "data"},
        "trainer": {"max_steps": steps, "train_examples": None},
        **(config or {}),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    typed = [f"experiment={experiment}", f"loss={loss}", f"seed={seed}", *overrides]
    (folder / "overrides.yaml").write_text(yaml.safe_dump(typed))
    dump(folder / "provenance.json", _provenance(seed, commit, data))
    results = _metrics(scores) | {"task": task}
    for metric, (about, values) in (metrics or {}).items():
        results["metrics"][metric] = METRICS["exact"] | {"label": metric} | dict(about)
        for split, value in values.items():
            results["splits"][split]["metrics"][metric] = value
    dump(folder / "metrics.json", results)
    items = [
        {
            "split": split,
            "id": f"{split}-{index:04d}",
            "text": "",
            "answer": "",
            "parsed": None,
            "scores": row,
            "meta": {},
            **(answers[split][index] if answers else {}),
        }
        for split, rows in scores.items()
        for index, row in enumerate(rows)
    ]
    dump_lines(folder / "predictions.jsonl", items)
    dump_lines(
        folder / "train.jsonl", curves or [{"step": steps, "loss": 1.0, "ce": 0.5, "learning_rate": 0.1}]
    )
    (folder / "COMPLETE").touch()
    return folder


def said(answer: str, text: str, *tokens: tuple[str, float]) -> dict[str, Any]:
    """The truth, what was written, and its tokens with their probabilities (one token for each letter if none are given)."""
    pieces = tokens or tuple((letter, 1.0) for letter in text)
    return {
        "answer": answer,
        "text": text,
        "tokens": [token for token, _ in pieces],
        "probabilities": [probability for _, probability in pieces],
    }


def dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def change_json(name: str, change: Callable[[Any], object]) -> Callable[[Path], object]:
    """What spoils a run's folder by changing the value in one of its JSON files."""

    def spoil(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        change(value)
        dump(folder / name, value)

    return spoil


def dump_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _provenance(seed: int, commit: str | None, data: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "commit": commit,
        "dirty": False,
        "seed": seed,
        "data": data
        or {"folder": "data/x", "counts": {"train": 3000, "test": 4}, "records_sha256": "ab" * 32},
        "packages": {"torch": "2.8.0", "transformers": "5.5.0"},
        "device": "cpu (made up)",
        "threads": 1,
    }


def _metrics(scores: Scores) -> dict[str, Any]:
    def mean(values: list[float]) -> float | None:
        return math.fsum(values) / len(values) if values else None

    names = list(dict.fromkeys(name for rows in scores.values() for row in rows for name in row))
    return {
        "schema": 1,
        "task": "clock",
        "task_version": 1,
        "metrics": {name: METRICS.get(name, {**METRICS["exact"], "label": name}) for name in names},
        "splits": {
            split: {
                "count": len(rows),
                "metrics": {
                    name: mean([s for row in rows if (s := row[name]) is not None]) for name in names
                },
            }
            for split, rows in scores.items()
        },
        "timing": {"train_seconds": 90.5, "evaluate_seconds": 4.0},
    }


def exact(*values: float | None, split: str = "test") -> dict[str, list[dict[str, float | None]]]:
    """Scores of one split with one metric."""
    return {split: [{"exact": value} for value in values]}


def realistic(
    outputs: Path,
    experiment: str,
    losses: Mapping[str, float],
    seeds: int,
    items: int = 200,
    model: str = "tiny",
) -> None:
    """Runs whose accuracy and curves look like trained ones; `losses`: the accuracy each comes to."""
    for place, (loss, accuracy) in enumerate(losses.items()):
        for seed in range(seeds):
            random = np.random.default_rng([place, seed])
            write_run(
                outputs,
                {
                    split: _answers(random, accuracy - drop, items)
                    for split, drop in (("test", 0), ("heldout_faces", 0.2))
                },
                experiment=experiment,
                loss=loss,
                seed=seed,
                model=model,
                curves=_curves(random, loss, accuracy),
            )


def _answers(random: np.random.Generator, accuracy: float, items: int) -> list[dict[str, float | None]]:
    rows: list[dict[str, float | None]] = []
    for _ in range(items):
        right = bool(random.random() < accuracy)
        gap = 0.0 if right else float(random.integers(1, 300))
        parsed = right or random.random() < 0.9
        within = float(gap <= 1)
        rows.append(
            {
                "exact": float(right),
                "within_1": within if parsed else 0.0,
                "gap_circular": min(gap, 720 - gap) if parsed else None,
                "gap_plain": gap if parsed else None,
            }
        )
    return rows


def _curves(random: np.random.Generator, loss: str, accuracy: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for step in range(20, 601, 20):
        fade = math.exp(-step / (150 / accuracy))
        ce = (1.6 * fade + 0.08) * float(random.normal(1, 0.06))
        row: dict[str, Any] = {
            "step": step,
            "loss": ce * (1 if loss == "ce" else 1.3),
            "ce": ce,
            "learning_rate": 0.001,
        }
        if loss != "ce":
            row["emd"] = (2.4 * fade + 0.1) * float(random.normal(1, 0.08))
        if loss == "ntil":
            row |= {
                "relative": (0.5 * fade + 0.02) * float(random.normal(1, 0.1)),
                "magnitude": 0.3 * fade + 0.01,
            }
        rows.append(row)
        if step % 100 == 0:
            level = accuracy / (1 + math.exp(-(step - 300) / 60))
            rows.append(
                {
                    "step": step,
                    "val/exact": level * float(random.normal(1, 0.03)),
                    "val/gap_circular": 90 * fade + 8,
                }
            )
    return rows
