"""Runs that another experiment has already made with the same settings are taken over, not trained again.

The ablation's `ntil_no_exp` with seed 0 and the sweep's `loss.number.sigma=0.0` with seed 0 are one training: the same data,
model, loss, trainer and evaluation, under two names. What a run is called, where it lives and which table shows it are no
part of that. The copy has the second name's config.yaml and overrides.yaml, and `taken_from` in its provenance.json.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from experiments.presets import PlannedRun
from ntil.io import read_json, write_json, write_text
from ntil.runs.run import COMPLETE, FREE_KEYS

NAMES = ("name", "experiment_name", "choices")
NOT_COPIED = ("checkpoints", "view.html", "wandb")


def recipe(config: Mapping[str, Any]) -> str:
    """sha256 of everything in a resolved configuration that decides the run's result."""
    decisive = {key: value for key, value in config.items() if key not in (*FREE_KEYS, *NAMES)}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True, default=str).encode()).hexdigest()


def same_runs(runs: Sequence[PlannedRun]) -> dict[str, Path]:
    """For each of `runs` (by name) that some experiment beside it has complete: that run's folder."""
    made = {
        key: folder
        for root in sorted({run.folder.parent.parent for run in runs})
        for key, folder in _made(root)
    }
    wanted = {run.name: (recipe(run.config), run.folder) for run in runs}
    return {name: made[key] for name, (key, folder) in wanted.items() if key in made and made[key] != folder}


def _made(outputs: Path) -> list[tuple[str, Path]]:
    """(recipe, folder) of every complete run in `outputs`, in alphabetical order; unreadable ones are passed over."""
    found = []
    for marker in sorted(outputs.glob(f"*/*/{COMPLETE}")):
        try:
            config = OmegaConf.to_container(OmegaConf.load(marker.parent / "config.yaml"))
        except (OSError, YAMLError, OmegaConfBaseException):
            continue  # it is none that could be copied
        if isinstance(config, dict) and "taken_from" not in _provenance(marker.parent):
            found.append((recipe({str(key): value for key, value in config.items()}), marker.parent))
    return found


def take_over(run: PlannedRun, source: Path) -> bool:
    """Copy the complete run `source` to the place of `run`; False where something has been begun there already."""
    if run.folder.exists() and any(run.folder.iterdir()):
        return False
    temporary = run.folder.with_name(f".{run.folder.name}.{os.getpid()}")
    try:
        shutil.copytree(source, temporary, ignore=shutil.ignore_patterns(*NOT_COPIED))
        write_text(temporary / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(run.config)))
        write_text(temporary / "overrides.yaml", OmegaConf.to_yaml(list(run.overrides)))
        origin = f"{source.parent.name}/{source.name}"
        write_json(temporary / "provenance.json", {**_provenance(source), "taken_from": origin})
        if run.folder.exists():
            run.folder.rmdir()  # empty, as seen above
        temporary.rename(run.folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def _provenance(folder: Path) -> dict[str, Any]:
    path = folder / "provenance.json"
    content = read_json(path) if path.exists() else {}
    return content if isinstance(content, dict) else {}
