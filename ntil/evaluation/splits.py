"""Which splits of a data set are scored, and whether a finished run has been scored as is asked for."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ntil.errors import UserError, did_you_mean
from ntil.evaluation.settings import EvaluationSettings
from ntil.runs import Run
from ntil.settings import load_settings

FOR_TRAINING = ("train", "val")


def splits_to_score(settings: EvaluationSettings, counts: Mapping[str, int], data: Path) -> list[str]:
    """The settings' splits, then the optional ones that the set has. counts: of its manifest.

    Without `splits`: `test`, or where the set calls its tests otherwise, all that are neither train nor val.
    UserError where a split is named that there is none of, or where none is left.
    """
    has = ", ".join(counts)
    for split in settings.splits or ():
        if split not in counts:
            raise UserError(f"{data} has no split {split!r}.{did_you_mean(split, counts)} It has {has}.")
    wanted = settings.splits
    if wanted is None:
        wanted = ["test"] if "test" in counts else [split for split in counts if split not in FOR_TRAINING]
    if not wanted:
        raise UserError(
            f"{data} has no split to score; it has {has}. Name one that the training does not use, or another set: "
            "evaluation.splits=[val]."
        )
    return [*wanted, *(s for s in settings.optional_splits if s in counts and s not in wanted)]


def is_scored_like(run: Run, cfg: DictConfig) -> bool:
    """Whether the evaluation settings `cfg` would score a finished run's splits as they were scored.

    However the splits are named, and however many questions are answered at once; a setting that the run is too old to have
    counts with its default. UserError where `cfg` names splits that its data set does not have.
    """
    if run.config.evaluation == cfg:
        return True
    counts, data = run.data["counts"], Path(run.data["folder"])

    def meant(cfg: DictConfig) -> tuple[Any, ...]:
        settings = load_settings(EvaluationSettings, cfg, "evaluation")
        rest = replace(settings, splits=None, optional_splits=[], batch_size=None, workers=0)
        return splits_to_score(settings, counts, data), rest.that_matter()

    wanted = meant(cfg)
    try:
        return meant(run.config.evaluation) == wanted
    except UserError:  # settings of another version
        return False
