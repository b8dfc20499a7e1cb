"""Whether a command goes on with the run that a folder holds: with its settings, its records and as many processes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ntil.data.example import changed_content
from ntil.errors import UserError
from ntil.runs import processes

# What may change between two starts of a run without changing its results.
FREE_KEYS = ("logger", "paths", "launcher", "table")
FREE_SETTINGS = (
    "trainer.keep_when_complete",
    "trainer.persistent_workers",
    "trainer.find_unused_parameters",
    "evaluation.batch_size",
    "evaluation.workers",
)
# Settings that runs of earlier versions lack, and what they did.
NEWER = {
    "trainer.on_divergence": "stop",
    "trainer.optimizer": "adamw_torch_fused",
    "trainer.group_by_length": False,
    "trainer.sharding": "none",
    "trainer.tf32": False,
    "trainer.torch_compile": False,
    "trainer.deterministic": False,
    "trainer.liger": False,
    "trainer.projection": "full",
    "evaluation.engine": "hf",
    "evaluation.decode": "greedy",
    "evaluation.candidates": 16,
    "evaluation.mass": 0.99,
    "evaluation.seed": 0,
}
EVALUATION = "evaluation"  # what may change without training again


def changes(stored: Any, config: Any) -> list[tuple[str, str]]:
    """(top-level key, line that says what changed) for each setting that is not free to change."""
    changed = [(key.split(".")[0], key, old, new) for key, old, new in differences(stored, config)]
    return [
        (top, f"  {key}: {old!r} → {new!r}")
        for top, key, old, new in changed
        if top not in FREE_KEYS
        and key not in FREE_SETTINGS
        and not (old is None and key in NEWER and new == NEWER[key])
    ]


def differences(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted key, old value, new value) for each leaf that differs; a missing one counts as None."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys(), key=str):
            yield from differences(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
    elif old != new:
        yield key, old, new


def check_same_data(folder: Path, begun_with: Any, now: Mapping[str, Any]) -> None:
    """UserError where the records of a run's data set, as its provenance.json names them, are others now; or its pictures,
    by what the two manifests say of them.
    """
    if change := changed_content(begun_with if isinstance(begun_with, Mapping) else {}, now):
        what, had, has = change
        raise UserError(
            f"the data of {folder} has changed: it was made with {what} of the hash {had}, and those in {now.get('folder')} have "
            f"{has}. Put the earlier set back (paths.data=…), or give this run a name of its own (name=…)."
        )


def check_same_processes(folder: Path, begun_by: Any, batch: int) -> None:
    """UserError where other processes train than began the run. batch: examples of a process in each step."""
    now = processes.count()
    if begun_by != now:
        raise UserError(
            f"{folder} was begun by {begun_by} processes of {batch} examples, and this is a command of {now}: a step would have "
            f"{now * batch} examples, and other ones. Start it with torchrun --nproc-per-node as it was begun, or give this run a "
            "name of its own (name=…)."
        )
