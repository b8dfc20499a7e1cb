"""Which splits of a data set are scored."""

from collections.abc import Mapping
from pathlib import Path

from ntil.errors import UserError, did_you_mean
from ntil.evaluation.settings import EvaluationSettings

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
