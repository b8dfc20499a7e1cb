"""What is trained and scored, in one piece."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntil.data.task import Task
from ntil.models.adapters import Adapter


@dataclass(frozen=True)
class Subject:
    """A model with its adapter, on a task with its data.

    model: a PreTrainedModel, maybe with PEFT's adapters around it. data: the folder of a finished data set.
    """

    model: Any
    adapter: Adapter
    task: Task
    data: Path
