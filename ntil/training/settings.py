"""What conf/trainer/*.yaml holds, and its translation to transformers' TrainingArguments."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from transformers import TrainingArguments

from ntil.errors import UserError, did_you_mean


@dataclasses.dataclass(frozen=True)
class TrainerSettings:
    """Schema of the trainer config; unknown keys are refused."""

    max_steps: int  # optimiser steps
    batch_size: int  # examples a device and step, before accumulation
    accumulation_steps: int
    learning_rate: float  # the peak
    schedule: str  # a scheduler name of transformers
    warmup_share: float  # of max_steps
    weight_decay: float
    max_grad_norm: float  # gradients are clipped to this norm; 0 for never
    precision: str  # fp32, bf16 or fp16
    log_steps: int
    eval_steps: int  # steps between validations; 0 for none
    eval_examples: int  # validation examples that are generated and scored each time
    save_steps: int  # steps between checkpoints
    keep_checkpoints: int
    cache_examples: bool  # keep encoded examples in memory
    train_examples: int | None  # use the first so many of the training split; null for all
    loader_workers: int
    threads: int | None  # CPU threads; null: OMP_NUM_THREADS, or the cores divided among the jobs side by side

    @classmethod
    def from_config(cls, cfg: DictConfig) -> "TrainerSettings":
        values: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
        names = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in names:
                raise UserError(f"trainer has no setting {key!r}.{did_you_mean(key, names)}")
        if missing := [name for name in names if name not in values]:
            raise UserError(f"trainer lacks {', '.join(missing)}.")
        settings = cls(**values)
        for name in ("max_steps", "batch_size", "accumulation_steps", "log_steps", "save_steps"):
            if getattr(settings, name) < 1:
                raise UserError(f"trainer.{name} must be at least 1, not {getattr(settings, name)}.")
        if settings.precision not in ("fp32", "bf16", "fp16"):
            raise UserError(f"trainer.precision must be fp32, bf16 or fp16, not {settings.precision!r}.")
        return settings

    def training_arguments(self, checkpoints: Path, seed: int, cpu: bool, wandb: bool, name: str) -> TrainingArguments:
        return TrainingArguments(
            output_dir=str(checkpoints),
            run_name=name,
            seed=seed,
            data_seed=seed,
            use_cpu=cpu,
            max_steps=self.max_steps,
            per_device_train_batch_size=self.batch_size,
            gradient_accumulation_steps=self.accumulation_steps,
            learning_rate=self.learning_rate,
            lr_scheduler_type=self.schedule,
            warmup_steps=round(self.warmup_share * self.max_steps),
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_grad_norm,
            optim="adamw_torch_fused",
            bf16=self.precision == "bf16",
            fp16=self.precision == "fp16",
            logging_steps=self.log_steps,
            logging_nan_inf_filter=False,  # a NaN belongs in the log
            eval_strategy="steps" if self.eval_steps else "no",
            eval_steps=self.eval_steps or None,
            save_strategy="steps",
            save_steps=self.save_steps,
            save_total_limit=max(2, self.keep_checkpoints),  # the last good one survives while the next is written
            dataloader_num_workers=self.loader_workers,
            dataloader_drop_last=True,
            dataloader_pin_memory=not cpu,
            remove_unused_columns=False,
            report_to=["wandb"] if wandb else [],
            disable_tqdm=not sys.stderr.isatty(),
        )
