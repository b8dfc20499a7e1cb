"""How a stored run is scored again: by its own settings, which may come from anyone, and what was typed over them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ntil.errors import UNEXPECTED, UserError
from ntil.evaluation.settings import EvaluationSettings
from ntil.settings import load_settings

# On the word of a run's folder.
MOST_AT_ONCE = 4096  # items of a batch
MOST_WORKERS = 64  # processes that load pictures
MOST_CANDIDATES = 1024  # answers of each question


def stored_evaluation(config: Mapping[str, Any], where: Path, typed: Mapping[str, Any]) -> DictConfig:
    """The settings of a run's evaluation with what was typed in their place. UserError where they are none.

    config: as read_stored_config gives it, from the file `where`. Which engine answers is typed, or is transformers.
    """
    stored = config.get("evaluation")
    if not isinstance(stored, dict):
        raise UserError(f"{where} holds no settings of an evaluation.")
    try:
        merged = OmegaConf.create({**stored, "engine": "hf", **typed})
        settings = load_settings(EvaluationSettings, merged, "evaluation")
    except UserError as error:
        raise UserError(f"{where}, with what was typed: {error}") from None
    except (OmegaConfBaseException, *UNEXPECTED) as error:
        raise UserError(
            f"{where}: evaluation is no group of settings: {' '.join(str(error).split())[:300]}."
        ) from None
    bounds = {
        "batch_size": (MOST_AT_ONCE, "are answered at once", 64),
        "candidates": (MOST_CANDIDATES, "answers are written for each question", 16),
        "workers": (MOST_WORKERS, "processes load pictures", 4),
    }
    for name, (most, what, modest) in bounds.items():
        if (found := getattr(settings, name) or 0) > most and name not in typed:
            raise UserError(
                f"{where}: evaluation.{name} is {found:,}; on a stored run's word at most {most:,} {what}. Type the number that "
                f"you want ({name}={modest})."
            )
    return merged
