"""Runs that another experiment has already made with the same settings are taken over, not trained again.

The ablation's `ntil_no_exp` with seed 0 and the sweep's `loss.number.sigma=0.0` with seed 0 are one training: the same data,
model, loss, trainer and evaluation, under two names. What a run is called, where it lives and which table shows it are no
part of that. The code must be the same, too (the commit, and no uncommitted changes), and the data set that is there now
must hold the records that the run was made with. The copy has the second name's config.yaml and overrides.yaml, and
`taken_from` in its provenance.json.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from experiments.run.presets import PlannedRun
from ntil.data.example import RECORDS_HASH
from ntil.errors import UserError
from ntil.io import atomic_folder, read_json, write_json, write_text
from ntil.runs.provenance import git
from ntil.runs.run import COMPLETE
from ntil.runs.sameness import FREE_KEYS
from ntil.runs.stored import read_stored_config, stored_data

NAMES = ("name", "experiment_name", "choices")
NOT_COPIED = ("checkpoints", "view.html", "wandb")
NOT_CODE = (":!results", ":!docs", ":!README.md", ":!tests")  # changes there change no run


class Code(NamedTuple):
    commit: str | None  # None outside a checkout
    dirty: bool


def code_now() -> Code:
    """What a run that is started now would be made with."""
    changes = git("status", "--porcelain", "--untracked-files=no", "--", ".", *NOT_CODE)
    return Code(git("rev-parse", "HEAD"), bool(changes))


def recipe(config: Mapping[str, Any]) -> str:
    """sha256 of everything in a resolved configuration that decides the run's result."""
    decisive = {key: value for key, value in config.items() if key not in (*FREE_KEYS, *NAMES)}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True, default=str).encode()).hexdigest()


def same_runs(
    runs: Sequence[PlannedRun], any_code: bool = False, now: Code | None = None
) -> tuple[dict[str, Path], list[str]]:
    """(for each of `runs`, by name, the folder of a complete run beside it that can be copied; why others cannot be)."""
    made: dict[str, list[Path]] = {}
    for root in sorted({run.folder.parent.parent for run in runs}):
        for key, folder in _made(root):
            made.setdefault(key, []).append(folder)
    found: dict[str, Path] = {}
    refused: list[str] = []
    for run in runs:
        others = [folder for folder in made.get(recipe(run.config), []) if folder != run.folder]
        if others and now is None and not any_code:
            now = code_now()
        reasons = {folder: _difference(run, folder, None if any_code else now) for folder in others}
        same = [folder for folder, reason in reasons.items() if not reason]
        if same:
            found[run.name] = same[0]
        refused += [
            f"{run.name} is not copied from {folder.parent.name}/{folder.name}: {reason}"
            for folder, reason in reasons.items()
            if not same
        ]
    return found, refused


def _difference(run: PlannedRun, source: Path, now: Code | None) -> str:
    """'' or what keeps `source` from being what `run` would become; now: None for any code."""
    try:
        made = _provenance(source)
        if now is not None:
            commit = made.get("commit")
            if commit is None or commit != now.commit:
                return f"it was made by commit {str(commit)[:10]}, this is {str(now.commit)[:10]} (--other-commits copies it)"
            if made.get("dirty") or now.dirty:
                whose = "it was made" if made.get("dirty") else "this would be"
                return f"{whose} with uncommitted changes of the code (--other-commits copies it)"
        data = made["data"]
        if not data[RECORDS_HASH]:
            return "nobody knows which records it was made with"
        root = Path(run.config["paths"]["data"]) / Path(str(data["folder"])).name
        stored_data(source, moved_to=root)
    except UserError as error:
        return str(error)
    except (KeyError, TypeError, AttributeError):
        return "its provenance.json does not say what it was made with"
    return ""


def _made(outputs: Path) -> list[tuple[str, Path]]:
    """(recipe, folder) of every complete run in `outputs`, in alphabetical order; unreadable ones are passed over."""
    found = []
    for marker in sorted(outputs.glob(f"*/*/{COMPLETE}")):
        try:
            config = read_stored_config(marker.parent / "config.yaml")
            copied = "taken_from" in _provenance(marker.parent)
        except UserError:
            continue  # it is none that could be copied
        if not copied and not any(
            path.name.startswith(".") for path in (marker.parent, marker.parent.parent)
        ):
            found.append((recipe(config), marker.parent))
    return found


def take_over(run: PlannedRun, source: Path) -> bool:
    """Copy the complete run `source` to the place of `run`; False where something has been begun there already."""
    if run.folder.exists() and any(run.folder.iterdir()):
        return False
    with atomic_folder(run.folder) as temporary:
        shutil.copytree(
            source, temporary, ignore=shutil.ignore_patterns(*NOT_COPIED), dirs_exist_ok=True, symlinks=True
        )
        write_text(temporary / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(run.config)))
        write_text(temporary / "overrides.yaml", OmegaConf.to_yaml(list(run.overrides)))
        origin = f"{source.parent.name}/{source.name}"
        write_json(temporary / "provenance.json", {**_provenance(source), "taken_from": origin})
    return True


def _provenance(folder: Path) -> dict[str, Any]:
    path = folder / "provenance.json"
    content = read_json(path) if path.exists() else {}
    return content if isinstance(content, dict) else {}
