"""A finished run, ready to answer: its model, adapter, task and configuration. Its folder may come from anyone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import PreTrainedModel

from ntil.checksums import damage
from ntil.data.task import Task
from ntil.errors import UNEXPECTED, SpellingError, UserError
from ntil.evaluation.generate import Question, generate
from ntil.models import Adapter, Subject
from ntil.models.stored import load_stored_model
from ntil.runs import Run
from ntil.runs.processes import by_first, local_rank
from ntil.runs.stored import build_stored_task, read_stored_config

SIDE = 56  # pixels of the picture that a model is tried on


@dataclass(frozen=True)
class Trained:
    """What `load_trained` returns."""

    folder: Path
    config: dict[str, Any]  # plain values, as stored
    model: PreTrainedModel
    adapter: Adapter
    task: Task

    def on(self, data: Path) -> Subject:
        """The same with the data set in the folder `data`."""
        return Subject(self.model, self.adapter, self.task, data)


def load_trained(folder: str | Path, trust_remote_code: bool = False, base: str | None = None) -> Trained:
    """The model of a run's folder, on this process's GPU where there is one. UserError where the folder is no trained run.

    trust_remote_code, base: typed by this command's user, see `load_stored_model`.
    """
    if not isinstance(trust_remote_code, bool):
        raise UserError(f"trust_remote_code must be true or false, not {trust_remote_code!r}.")
    run = Run.load(folder)
    if reason := by_first(lambda: damage(run.folder / "model")):
        raise UserError(
            f"{run.folder / 'model'} is damaged: {reason}. Where the run has checkpoints/, its training command makes it "
            "again; else copy the folder again, or train again."
        )
    config = read_stored_config(run.config_path)
    task = build_stored_task(config, run.config_path)
    model, adapter = load_stored_model(
        config, run.folder / "model", trust_remote_code=trust_remote_code, base=base
    )
    if torch.cuda.is_available() and not getattr(model, "is_quantized", False):  # else it lies there already
        model = model.to(torch.device("cuda", local_rank()))
    model = model.eval()
    _try_out(model, adapter, run.folder / "model")
    return Trained(run.folder, config, model, adapter, task)


def _try_out(model: PreTrainedModel, adapter: Adapter, folder: Path) -> None:
    """One token about a grey picture: files that fit together by their sizes alone are found out here."""
    sees = getattr(adapter, "processor", None) is not None
    image = Image.new("RGB", (SIDE, SIDE), "grey") if sees else None
    try:
        generate(model, adapter, [Question("1", image)], 1)
    except SpellingError:
        return  # no question of this run's
    except (*UNEXPECTED, RuntimeError) as error:
        raise UserError(
            f"{folder} holds no model that could answer: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        ) from error
