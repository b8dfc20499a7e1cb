"""Train a model on a task's data with a loss, resuming where the run was broken off."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig
from transformers import PrinterCallback, ProgressCallback, TrainerCallback, set_seed
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ntil.data.dataset import EncodedDataset, collate
from ntil.data.example import read_examples
from ntil.data.replaced import ReplacedLog
from ntil.errors import UserError
from ntil.evaluation.evaluate import score_examples
from ntil.evaluation.settings import EvaluationSettings
from ntil.io import write_json, write_jsonl
from ntil.losses import CrossEntropy, WithCrossEntropy
from ntil.models import Subject, check_model, load_model
from ntil.runs import Run
from ntil.runs.processes import by_first, count, is_first, rank
from ntil.settings import load_settings
from ntil.training.callbacks import TIMING, CheckpointMarker, JsonLinesLog, Stopwatch
from ntil.training.checks import check_batch_size
from ntil.training.divergence import DivergenceWatch, how_it_diverged
from ntil.training.one_batch import overfitting_report
from ntil.training.progress import TrainingProgress
from ntil.training.resume import last_whole_checkpoint, remove_later, step_of
from ntil.training.sampling import LengthGrouped
from ntil.training.settings import TrainerSettings
from ntil.training.sharding import (
    check_engine,
    check_sharding,
    engine_arguments,
    forget_engine,
    may_lack_gradients,
)
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
    if not trainer.dry_run:  # which may say what a training on other devices would take
        check_sharding(trainer)
    if trainer.projection == "hidden" and trainer.sharding != "none":
        raise UserError(
            f"trainer.projection=hidden reads the whole head, which trainer.sharding={trainer.sharding} divides; use one of them."
        )
    load_settings(EvaluationSettings, cfg.evaluation, "evaluation")
    check_model(cfg.model)
    check_logger(cfg.logger)
    if not isinstance(cfg.seed, int) or not 0 <= cfg.seed < 2**32:
        raise UserError(f"seed must be a whole number from 0 to 2³²−1, not {cfg.seed!r}.")


class Start(NamedTuple):
    """What a run goes on from."""

    trained: bool  # model/ is there
    checkpoint: Path | None  # the last whole one

    @property
    def step(self) -> int:
        """Optimiser steps that lie behind it."""
        return step_of(self.checkpoint) if self.checkpoint else 0


def fit(subject: Subject, loss: CrossEntropy | WithCrossEntropy, cfg: DictConfig, run: Run) -> Subject:
    """Train the subject's model and save it to the run's model/; where that is there, and undamaged, only load it.

    Returns the subject with the trained model, whole in each process: the same one, trained in place, or where it was divided
    among the processes another.

    cfg: the whole configuration; `cfg.trainer`, `cfg.evaluation`, `cfg.seed` and `cfg.logger` are used.
    """
    settings = load_settings(TrainerSettings, cfg.trainer, "trainer")
    saved = run.folder / MODEL
    start = by_first(lambda: _start(run, settings))
    if start.trained:
        load_weights(subject.model, saved)
    else:
        if start.step < settings.max_steps:
            _train(subject, loss, cfg, run, settings, start)
            if settings.sharding != "none":
                subject = _whole(subject, cfg, run.folder / CHECKPOINTS, settings.max_steps)
        elif start.checkpoint:  # stopped between the last step and here
            load_weights(subject.model, start.checkpoint)
        by_first(lambda: save_model(subject.model, subject.adapter, saved))
    to_device(subject.model)
    return subject


def _whole(subject: Subject, cfg: DictConfig, checkpoints: Path, step: int) -> Subject:
    """With a model of its own in each process, whose weights the checkpoint of the last step has gathered."""
    forget_engine()
    model, _ = load_model(cfg.model)
    load_weights(model, checkpoints / f"{PREFIX_CHECKPOINT_DIR}-{step}")
    return replace(subject, model=model)


def _start(run: Run, settings: TrainerSettings) -> Start:
    """Where the run stands, its folder ready for what comes next."""
    checkpoint = last_whole_checkpoint(run.folder / CHECKPOINTS)
    if checkpoint:
        check_checkpoint(checkpoint, settings.sharding)
        check_logs(run.folder)
    clear_damaged_model(run, checkpoint)
    start = Start((run.folder / MODEL).exists(), checkpoint)
    run.record_resumption(settings.max_steps if start.trained else start.step)
    if not start.trained:
        remove_later(run.folder / CHECKPOINTS, start.step)
        if not settings.max_steps:  # the files that training would have written
            write_jsonl(run.folder / "train.jsonl", [])
            write_json(run.folder / TIMING, {"train_seconds": 0.0, "steps": 0})
    return start


def _train(
    subject: Subject,
    loss: CrossEntropy | WithCrossEntropy,
    cfg: DictConfig,
    run: Run,
    settings: TrainerSettings,
    start: Start,
) -> None:
    """The steps that are left."""
    train = _training_set(subject, settings, run)
    if settings.find_unused_parameters is None:
        unused = may_lack_gradients(subject, pictures=train.examples[0].image is not None)
        settings = replace(settings, find_unused_parameters=unused)
    if settings.projection == "hidden" and settings.find_unused_parameters and count() > 1:
        raise UserError(
            "trainer.projection=hidden uses the head after the forward pass, in which DDP must look for weights that are left "
            "out here (a vision tower is trained): use trainer.projection=full, or leave the tower as it is."
        )
    progress = TrainingProgress(subject.task.headline)
    watch, callbacks = _callbacks(train, settings, run, progress, start.step)
    validation = read_examples(subject.data, "val", settings.eval_examples) if settings.eval_steps else []
    evaluation = replace(load_settings(EvaluationSettings, cfg.evaluation, "evaluation"), decode="greedy")
    trainer = NumberTrainer(
        model=subject.model,
        args=settings.training_arguments(
            run.folder / CHECKPOINTS,
            cfg.seed,
            wandb=is_first() and start_wandb(cfg, run),
            name=cfg.name,
            **engine_arguments(settings, subject.model),
        ),
        train_dataset=train,
        eval_dataset=validation or None,
        data_collator=partial(collate, pad_token_id=subject.adapter.pad_token_id),
        callbacks=callbacks,
        number_loss=loss,
        validate=lambda: score_examples(subject, validation, evaluation).metrics,
        watch=watch,
        order=_order(train, settings, cfg.seed),
        projection=settings.projection,
    )
    check_engine(trainer, settings)
    for shown_twice in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(shown_twice)
    if rank():  # noise and dropout of its own; a checkpoint brings each process's back
        set_seed(cfg.seed + rank())
    try:
        with writing_checkpoints(run.folder / CHECKPOINTS):
            trainer.train(resume_from_checkpoint=str(start.checkpoint) if start.checkpoint else None)
    finally:
        progress.stop()
    _refuse_fewer_steps(trainer.state.global_step, settings, train)
    # Off with the autocast that training put around the forward: the model is evaluated as it will be when loaded.
    if settings.sharding == "none":
        trainer.accelerator.unwrap_model(subject.model, keep_fp32_wrapper=False)
    if settings.one_batch and is_first():
        print(overfitting_report(run.folder / "train.jsonl"))


def _refuse_fewer_steps(made: int, settings: TrainerSettings, train: EncodedDataset) -> None:
    if made < settings.max_steps:
        raise UserError(
            f"training ended after {made} of {settings.max_steps} steps: {len(train)} examples make no more batches of "
            f"{settings.batch_size} for each of {count()} processes. The run is not complete."
        )


def _training_set(subject: Subject, settings: TrainerSettings, run: Run) -> EncodedDataset:
    most = settings.batch_size * count() if settings.one_batch else settings.train_examples
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


def _order(train: EncodedDataset, settings: TrainerSettings, seed: int) -> LengthGrouped | None:
    if not settings.group_by_length:
        return None
    batch = settings.batch_size * settings.accumulation_steps * count()
    return LengthGrouped([train.text_length(i) for i in range(len(train))], batch, seed)


def _callbacks(
    train: EncodedDataset, settings: TrainerSettings, run: Run, progress: TrainingProgress, reached: int
) -> tuple[DivergenceWatch, list[TrainerCallback]]:
    """What looks on while the model trains, in the order in which it is told. reached: steps that are behind."""
    log = JsonLinesLog(run.folder / "train.jsonl")
    if settings.on_divergence == "stop" and (said := how_it_diverged(log.path, reached)):
        print(f"{run.folder}: {said}")
    by_first(lambda: log.rewind(reached))
    watch = DivergenceWatch(
        train.examples,
        log,
        run.folder / CHECKPOINTS,
        settings.on_divergence,
        scaled=settings.precision == "fp16",
    )
    # The watch before the marker: weights that are not finite make no checkpoint. The marker after all that belongs to one.
    return watch, [log, watch, Stopwatch(run.folder / TIMING), CheckpointMarker(), progress]
