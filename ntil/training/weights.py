"""A trained model's weights: written whole and summed, read again, made again where they are damaged."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import PreTrainedModel

from ntil.checksums import damage, seal
from ntil.errors import UserError
from ntil.io import OF_WRITING, atomic_folder, writing
from ntil.models import Adapter
from ntil.models.folder import check_model_folder
from ntil.runs import Run
from ntil.runs.processes import local_rank
from ntil.training.states import going_on_from

MODEL = "model"
# What torch, safetensors and tokenizers say where a file could not be written; none raises an OSError.
_UNWRITTEN = re.compile(
    r"os error (5|27|28|122)|No space left|PytorchStreamWriter failed|unexpected pos|enforce fail"
)


def clear_damaged_model(run: Run, checkpoint: Path | None) -> None:
    """Take away a model/ that is not what was written, so that `checkpoint` makes it anew; UserError where there is none."""
    reason = damage(run.folder / MODEL)
    if not reason:
        return
    if checkpoint is None:
        raise UserError(
            f"{run.folder / MODEL} is damaged: {reason}. There is no checkpoint to make it from again; delete {run.folder} "
            "to train again."
        )
    print(f"{run.folder / MODEL} is damaged: {reason}. It is made again from {checkpoint}.")
    run.reopen()
    shutil.rmtree(run.folder / MODEL)


@contextmanager
def writing_checkpoints(folder: Path) -> Iterator[None]:
    """What keeps the Trainer from writing its files becomes a UserError."""
    try:
        with writing(folder, OF_WRITING):
            yield
    except Exception as error:  # safetensors and tokenizers have classes of their own
        if isinstance(error, UserError) or not _UNWRITTEN.search(str(error)):
            raise
        free = shutil.disk_usage(folder).free
        raise UserError(
            f"cannot write a checkpoint to {folder}: {str(error).splitlines()[0]} ({free:,} bytes are free on that disk). Make "
            "room; the same command goes on."
        ) from None


def save_model(model: PreTrainedModel, adapter: Adapter, folder: Path) -> None:
    """Weights (safetensors) and processor, complete or not there at all."""
    with writing_checkpoints(folder.parent), atomic_folder(folder) as temporary:
        model.save_pretrained(temporary)
        adapter.save_pretrained(temporary)
        (temporary / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        seal(temporary)


def load_weights(model: PreTrainedModel, folder: Path) -> None:
    """The weights that `save_model` wrote, into an existing model: all of them, or its adapters."""
    with going_on_from(folder):
        if hasattr(model, "peft_config"):
            from ntil.models.tuning import load_adapter_weights

            load_adapter_weights(model, folder)
            return
        check_model_folder(folder, type(model))
        saved = type(model).from_pretrained(folder, use_safetensors=True, local_files_only=True)
        model.load_state_dict(saved.state_dict())


def to_device(model: PreTrainedModel) -> None:
    """Where the Trainer would have put it: on this process's GPU, if there is one."""
    if torch.cuda.is_available() and not getattr(model, "is_quantized", False):
        model.to(torch.device("cuda", local_rank()))
