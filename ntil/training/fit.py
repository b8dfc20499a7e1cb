"""Train a model on a task's data with a loss, resuming where the run was broken off."""

import os
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from ntil.data.dataset import EncodedDataset, collate
from ntil.data.example import read_examples
from ntil.data.replaced import ReplacedLog
from ntil.errors import UserError
from ntil.evaluation.evaluate import score_examples
from ntil.evaluation.settings import EvaluationSettings
from ntil.io import write_json, write_jsonl
from ntil.losses import CrossEntropy, WithCrossEntropy
from ntil.models import Subject, check_model
from ntil.runs import Run
from ntil.settings import load_settings
from ntil.training.callbacks import TIMING, CheckpointMarker, JsonLinesLog, Stopwatch
from ntil.training.checks import check_batch_size
from ntil.training.divergence import DivergenceWatch, how_it_diverged
from ntil.training.one_batch import overfitting_report
from ntil.training.progress import TrainingProgress
from ntil.training.resume import last_whole_checkpoint, remove_later, step_of
from ntil.training.settings import TrainerSettings
from ntil.training.states import check_checkpoint, check_logs
from ntil.training.tracking import check_logger, start_wandb
from ntil.training.trainer import NumberTrainer
from ntil.training.weights import (
    MODEL,
    clear_damaged_model,
    load_weights,
    save_model,
    to_device,
    writing_checkpoints,
)

CHECKPOINTS = "checkpoints"


def check_settings(cfg: DictConfig) -> None:
    """Refuse a configuration that cannot work before anything is built or written."""
    trainer = load_settings(TrainerSettings, cfg.trainer, "trainer")
    if trainer.projection == "hidden" and (engine := getattr(trainer, "sharding", "none")) != "none":
        raise UserError(
            f"trainer.projection=hidden reads the whole head, which trainer.sharding={engine} divides; use one of them."
        )
    load_settings(EvaluationSettings, cfg.evaluation, "evaluation")
    check_model(cfg.model)
    check_logger(cfg.logger)
    if not isinstance(cfg.seed, int) or not 0 <= cfg.seed < 2**32:
        raise UserError(f"seed must be a whole number from 0 to 2³²−1, not {cfg.seed!r}.")


def fit(subject: Subject, loss: CrossEntropy | WithCrossEntropy, cfg: DictConfig, run: Run) -> None:
    """Train the subject's model in place and save it to the run's model/; where that is there, and undamaged, only load it.

    cfg: the whole configuration; `cfg.trainer`, `cfg.evaluation`, `cfg.seed` and `cfg.logger` are used.
    """
    settings = load_settings(TrainerSettings, cfg.trainer, "trainer")
    saved = run.folder / MODEL
    checkpoint = last_whole_checkpoint(run.folder / CHECKPOINTS)
    if checkpoint:
        check_checkpoint(checkpoint)
        check_logs(run.folder)
    clear_damaged_model(run, checkpoint)
    if saved.exists():
        run.record_resumption(settings.max_steps)
        load_weights(subject.model, saved)
    else:
        reached = step_of(checkpoint) if checkpoint else 0
        run.record_resumption(reached)
        if int(os.environ.get("RANK", "0")) == 0:
            remove_later(run.folder / CHECKPOINTS, reached)
        if reached < settings.max_steps:
            _train(subject, loss, cfg, run, settings, checkpoint)
        elif checkpoint:  # stopped between the last step and here
            load_weights(subject.model, checkpoint)
        else:  # no step is wanted: the files that training would have written
            write_jsonl(run.folder / "train.jsonl", [])
            write_json(run.folder / TIMING, {"train_seconds": 0.0, "steps": 0})
        save_model(subject.model, subject.adapter, saved)
    to_device(subject.model)


def _train(
    subject: Subject,
    loss: CrossEntropy | WithCrossEntropy,
    cfg: DictConfig,
    run: Run,
    settings: TrainerSettings,
    checkpoint: Path | None,
) -> None:
    """The steps that are left after `checkpoint`."""
    train = _training_set(subject, settings, run)
    progress = TrainingProgress(subject.task.headline)
    watch, callbacks = _callbacks(train, settings, run, progress, step_of(checkpoint) if checkpoint else 0)
    validation = read_examples(subject.data, "val", settings.eval_examples) if settings.eval_steps else []
    evaluation = load_settings(EvaluationSettings, cfg.evaluation, "evaluation")
    trainer = NumberTrainer(
        model=subject.model,
        args=settings.training_arguments(
            run.folder / CHECKPOINTS,
            cfg.seed,
            cpu=not torch.cuda.is_available(),
            wandb=start_wandb(cfg, run),
            name=cfg.name,
        ),
        train_dataset=train,
        eval_dataset=validation or None,
        data_collator=partial(collate, pad_token_id=subject.adapter.pad_token_id),
        callbacks=callbacks,
        number_loss=loss,
        validate=lambda: score_examples(subject, validation, evaluation).metrics,
        watch=watch,
        projection=settings.projection,
    )
    for shown_twice in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(shown_twice)
    try:
        with writing_checkpoints(run.folder / CHECKPOINTS):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        progress.stop()
    # Off with the autocast that training put around the forward: the model is evaluated as it will be when loaded.
    trainer.accelerator.unwrap_model(subject.model, keep_fp32_wrapper=False)
    if settings.one_batch:
        print(overfitting_report(run.folder / "train.jsonl"))


def _training_set(subject: Subject, settings: TrainerSettings, run: Run) -> EncodedDataset:
    most = settings.batch_size if settings.one_batch else settings.train_examples
    train = EncodedDataset(
        read_examples(subject.data, "train", most),
        subject.data,
        subject.task,
        subject.adapter,
        cache=settings.cache_examples,
        replaced=ReplacedLog(run.folder),
    )
    check_batch_size(settings, len(train), subject.data)
    return train


def _callbacks(
    train: EncodedDataset, settings: TrainerSettings, run: Run, progress: TrainingProgress, reached: int
) -> tuple[DivergenceWatch, list[TrainerCallback]]:
    """What looks on while the model trains, in the order in which it is told. reached: steps that are behind."""
    log = JsonLinesLog(run.folder / "train.jsonl")
    if settings.on_divergence == "stop" and (said := how_it_diverged(log.path, reached)):
        print(f"{run.folder}: {said}")
    log.rewind(reached)
    watch = DivergenceWatch(
        [example.id for example in train.examples],
        log,
        run.folder / CHECKPOINTS,
        settings.on_divergence,
        scaled=settings.precision == "fp16",
    )
    # The watch before the marker: weights that are not finite make no checkpoint. The marker after all that belongs to one.
    return watch, [log, watch, Stopwatch(run.folder / TIMING), CheckpointMarker(), progress]
