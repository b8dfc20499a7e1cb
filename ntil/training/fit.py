"""Train a model on a task's data with a loss, resuming where the run was broken off."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from safetensors import SafetensorError
from transformers import PreTrainedModel, PrinterCallback, ProgressCallback, TrainerCallback

from ntil.checksums import damage, seal
from ntil.data.dataset import EncodedDataset, collate
from ntil.data.example import read_examples
from ntil.data.task import Task
from ntil.errors import UserError
from ntil.evaluation.evaluate import score_examples
from ntil.evaluation.settings import EvaluationSettings
from ntil.io import OF_WRITING, atomic_folder, write_json, write_jsonl, writing
from ntil.losses import CrossEntropy, WithCrossEntropy
from ntil.models import Adapter, check_model
from ntil.models.folder import check_model_folder
from ntil.runs import Run
from ntil.settings import load_settings
from ntil.training.callbacks import CheckpointMarker, JsonLinesLog, Stopwatch
from ntil.training.checks import check_batch_size
from ntil.training.divergence import DivergenceWatch
from ntil.training.one_batch import overfitting_report
from ntil.training.progress import TrainingProgress
from ntil.training.resume import last_whole_checkpoint, step_of
from ntil.training.settings import TrainerSettings
from ntil.training.states import check_checkpoint, check_logs, going_on_from
from ntil.training.trainer import NumberTrainer

MODEL, CHECKPOINTS = "model", "checkpoints"
# What torch and safetensors say where a checkpoint could not be written; neither raises an OSError.
_UNWRITTEN = re.compile(
    r"os error (5|27|28|122)|No space left|PytorchStreamWriter failed|unexpected pos|enforce fail"
)


def check_settings(cfg: DictConfig) -> None:
    """Refuse a configuration that cannot work before anything is built or written."""
    load_settings(TrainerSettings, cfg.trainer, "trainer")
    load_settings(EvaluationSettings, cfg.evaluation, "evaluation")
    check_model(cfg.model)
    if not isinstance(cfg.seed, int) or not 0 <= cfg.seed < 2**32:
        raise UserError(f"seed must be a whole number from 0 to 2³²−1, not {cfg.seed!r}.")


def fit(
    model: PreTrainedModel,
    adapter: Adapter,
    task: Task,
    data: Path,
    loss: CrossEntropy | WithCrossEntropy,
    cfg: DictConfig,
    run: Run,
) -> None:
    """Train `model` in place and save it to the run's model/; does nothing where that is there, and undamaged.

    cfg: the whole configuration; `cfg.trainer`, `cfg.evaluation.batch_size`, `cfg.seed` and `cfg.logger` are used.
    """
    settings = load_settings(TrainerSettings, cfg.trainer, "trainer")
    checkpoint = last_whole_checkpoint(run.folder / CHECKPOINTS)
    if checkpoint:
        check_checkpoint(checkpoint)
        check_logs(run.folder)
    clear_damaged_model(run, checkpoint)
    if (run.folder / MODEL).exists():
        load_weights(model, run.folder / MODEL)
        _to_device(model)
        return
    reached = step_of(checkpoint) if checkpoint else 0
    if reached >= settings.max_steps:  # stopped between the last step and here, or there is no step
        if checkpoint:
            load_weights(model, checkpoint)
        else:  # the files that training would have written
            write_jsonl(run.folder / "train.jsonl", [])
            write_json(run.folder / "timing.json", {"train_seconds": 0.0, "steps": 0})
        save_model(model, adapter, run.folder / MODEL)
        _to_device(model)
        return
    train = EncodedDataset(
        read_examples(data, "train", settings.batch_size if settings.one_batch else settings.train_examples),
        data,
        task,
        adapter,
        cache=settings.cache_examples,
    )
    check_batch_size(settings, len(train), data)
    validation = read_examples(data, "val", settings.eval_examples) if settings.eval_steps else []

    def validate() -> dict[str, Any]:
        return score_examples(
            model,
            adapter,
            task,
            data,
            validation,
            cfg.evaluation.batch_size,
            constrained=cfg.evaluation.get("constrained", False),
            reading=cfg.evaluation.get("reading", "strict"),
        ).metrics

    log = JsonLinesLog(run.folder / "train.jsonl")
    log.rewind(reached)
    watch = DivergenceWatch(
        [example.id for example in train.examples],
        log,
        run.folder / CHECKPOINTS,
        settings.on_divergence,
        scaled=settings.precision == "fp16",
    )
    progress = TrainingProgress(task.headline)
    callbacks: list[TrainerCallback] = [
        log,
        watch,  # before the marker: weights that are not finite make no checkpoint
        CheckpointMarker(),
        Stopwatch(run.folder / "timing.json"),
        progress,
    ]
    wandb = _prepare_wandb(cfg, run)
    trainer = NumberTrainer(
        model=model,
        args=settings.training_arguments(
            run.folder / CHECKPOINTS,
            cfg.seed,
            cpu=not torch.cuda.is_available(),
            wandb=wandb,
            name=cfg.name,
        ),
        train_dataset=train,
        eval_dataset=validation or None,
        data_collator=partial(collate, pad_token_id=adapter.pad_token_id),
        callbacks=callbacks,
        number_loss=loss,
        validate=validate,
        watch=watch,
    )
    for shown_twice in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(shown_twice)
    try:
        with writing_checkpoints(run.folder / CHECKPOINTS):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        progress.stop()
    # Off with the autocast that training put around the forward: the model is evaluated as it will be when loaded.
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    save_model(model, adapter, run.folder / MODEL)
    if settings.one_batch:
        print(overfitting_report(run.folder / "train.jsonl"))


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
    except (RuntimeError, SafetensorError) as error:
        if not _UNWRITTEN.search(str(error)):
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


def _to_device(model: PreTrainedModel) -> None:
    """Where the Trainer would have put it: on this process's GPU, if there is one."""
    if torch.cuda.is_available() and not getattr(model, "is_quantized", False):
        model.to(torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))))


def _prepare_wandb(cfg: DictConfig, run: Run) -> bool:
    """Point W&B at the run's folder where the logger asks for it."""
    if cfg.logger.name != "wandb":
        return False
    os.environ.update(
        WANDB_PROJECT=cfg.logger.project,
        WANDB_MODE=cfg.logger.mode,
        WANDB_DIR=str(run.folder),
        WANDB_SILENT="true",
    )
    return True
