"""Builders of data sets: from a config in conf/data/ to records.jsonl, pictures and a manifest.

ensure(data, root)          the folder of a data config, built on first use
python -m data_prep list    what can be built
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.registry import BUILDERS, request

__all__ = ["BUILDERS", "ensure", "folder_name"]


def ensure(data: Mapping[str, Any], root: str | Path, workers: int | None = None) -> Path:
    """The folder `root/<name>-<8 hex digits>` of a resolved data config, built if it is not there yet.

    The digits are of the checked config and the builder's version, so a changed config gets a folder of its own.
    Parallel runs build once. `workers`: processes, by default one for each core.
    """
    asked = request(data)
    return asked.build(Path(root).absolute() / asked.folder_name, workers)


def folder_name(data: Mapping[str, Any]) -> str:
    """The name of a data config's folder, `<name>-<8 hex digits>`; nothing is built."""
    return request(data).folder_name
