"""What was typed to start a run, word by word."""

from pathlib import Path

from experiments.results.fields import listing, text
from ntil.runs.overrides import parse_override
from ntil.runs.sameness import FREE_KEYS
from ntil.runs.stored import read_stored_yaml

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


def overrides_of(folder: Path) -> list[str]:
    """What was typed beyond the choices that have columns of their own."""
    typed = listing(read_stored_yaml(folder / "overrides.yaml"), "all of it")
    words = sorted(text(str(word), "a word") for word in typed)
    return [word for word in words if _head(word) not in NOT_OVERRIDES]


def _head(word: str) -> str:
    """`+logger.mode=offline` → logger; but a setting below a choice (`loss.sigma=0.1`) is an override of its own."""
    key = parse_override(word).key.lstrip("~")
    first = key.split("@")[0].split("/")[0].split(".")[0]
    return first if "." not in key or first in (*FREE_KEYS, "hydra") else key
