"""Which published layout a config.json belongs to, and what to type to convert it."""

import shlex
from pathlib import Path
from typing import Any

from ntil.errors import UserError
from ntil.io import read_json
from ntil.models.families import FAMILIES


def read_config(file: Path) -> dict[str, Any]:
    """config.json and its like: a JSON object."""
    found = read_json(file)
    if not isinstance(found, dict):
        raise UserError(f"{file} is not a JSON object but {str(found)[:80]!r}.")
    return found


def convertible() -> dict[str, str]:
    """The families that were published in a layout of their own, and what the publisher calls the model."""
    return {name: family.layout.name for name, family in FAMILIES.items() if family.layout is not None}


def recognise(published: dict[str, Any]) -> str | None:
    """The family whose published layout this is; None for a layout that needs no conversion."""
    layouts = ((name, FAMILIES[name].layout) for name in convertible())
    return next(
        (name for name, layout in layouts if layout is not None and layout.recognises(published)), None
    )


def commands(source: str, name: str, hub_id: str | None = None) -> str:
    """What to type to convert `source` (a folder, or a hub id if so given) and train the model config `name` on it."""
    folder = Path(source).name if hub_id else source.rstrip("/")
    lines = [f"hf download {hub_id} --local-dir {shlex.quote(folder)}"] if hub_id else []
    out = f"{folder}-converted"
    lines.append(f"ntil convert {shlex.quote(folder)} --out {shlex.quote(out)}")
    lines.append(f"python train.py model={name} model.local_folder={shlex.quote(out)}")
    return "".join(f"\n  {line}" for line in lines)
