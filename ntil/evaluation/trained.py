"""A finished run, ready to answer: its model, adapter, task and configuration."""

from dataclasses import dataclass
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from transformers import PreTrainedModel

from ntil.checksums import damage
from ntil.data.task import Task
from ntil.errors import UserError
from ntil.models import Adapter, load_model
from ntil.runs import Run


@dataclass(frozen=True)
class Trained:
    """What `load_trained` returns."""

    folder: Path
    config: DictConfig
    model: PreTrainedModel
    adapter: Adapter
    task: Task


def load_trained(folder: str | Path) -> Trained:
    """The model of a run's folder, on the GPU where there is one. UserError where the folder is no trained run."""
    run = Run.load(folder)
    if reason := damage(run.folder / "model"):
        raise UserError(
            f"{run.folder / 'model'} is damaged: {reason}. Where the run has checkpoints/, its training command makes it "
            "again; else copy the folder again, or train again."
        )
    config = run.config
    model, adapter = load_model(config.model, folder=run.folder / "model")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Trained(run.folder, config, model.to(device).eval(), adapter, instantiate(config.task))
