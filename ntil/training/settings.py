"""What conf/trainer/*.yaml holds, and its translation to transformers' TrainingArguments."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import SchedulerType, TrainingArguments
from transformers.training_args import OptimizerNames
from transformers.utils import is_torch_tf32_available

from ntil.errors import UserError
from ntil.settings import at_least, one_of


class OneDeviceArguments(TrainingArguments):
    """One GPU a process, however many are visible: several are used by several processes."""

    @property
    def n_gpu(self) -> int:
        return min(1, super().n_gpu)


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """Schema of the trainer config; unknown keys are refused."""

    max_steps: int = at_least(0)  # optimiser steps; 0: the model is evaluated as it was loaded
    batch_size: int = at_least(1)  # examples a device and step, before accumulation
    accumulation_steps: int = at_least(1)
    learning_rate: float = at_least(0)  # the peak
    schedule: str = one_of(*(kind.value for kind in SchedulerType))
    warmup_share: float = at_least(0, below=1)  # of max_steps
    weight_decay: float = at_least(0)
    max_grad_norm: float = at_least(0)  # gradients are clipped to this norm; 0 for never
    precision: str = one_of("fp32", "bf16", "fp16")
    log_steps: int = at_least(1)
    eval_steps: int = at_least(0)  # steps between validations; 0 for none
    eval_examples: int = at_least(1)  # validation examples that are generated and scored each time
    save_steps: int = at_least(1)  # steps between checkpoints
    keep_checkpoints: int = at_least(2)  # the last good one survives while the next is written
    cache_examples: bool  # keep encoded examples in memory
    on_divergence: str = one_of("stop", "skip")  # a step whose loss or gradient is not finite
    keep_when_complete: bool  # the checkpoints of a run that is complete; else they are removed
    train_examples: int | None = at_least(1)  # use the first so many of the training split; null for all
    loader_workers: int = at_least(0)
    # CPU threads; null: OMP_NUM_THREADS, or the cores divided among the jobs.
    threads: int | None = at_least(1)
    optimizer: str = one_of(*(kind.value for kind in OptimizerNames), default="adamw_torch_fused")
    sharding: str = one_of("none", "fsdp", "zero2", "zero3", default="none")  # see ntil.training.sharding
    # Of DDP: whether it looks for weights that a step leaves without a gradient; null: where there may be any.
    find_unused_parameters: bool | None = None
    group_by_length: bool = False  # batches of similar lengths, with less padding; another order of records
    persistent_workers: bool = True  # keep the loader's processes from one epoch to the next
    tf32: bool = False  # float32 products of GPUs with 10 bits of mantissa: faster, less exact
    torch_compile: bool = False
    deterministic: bool = False  # only kernels that give the same digits every time; slower on a GPU
    liger: bool = False  # Liger's kernels for norms, rotary positions and feed-forward layers, on a GPU
    # Of the loss: from the logits, or from the states before the vocabulary projection, without ever holding the logits.
    projection: str = one_of("full", "hidden", default="full")
    one_batch: bool = False  # train on the first batch alone, and say whether its loss has gone to 0
    dry_run: bool = False  # say what would be trained, and train nothing

    def __post_init__(self) -> None:
        if self.liger and (find_spec("liger_kernel") is None or not torch.cuda.is_available()):
            raise UserError(
                "trainer.liger=true needs a GPU and the package liger-kernel (pip install liger-kernel)."
            )
        if self.tf32 and not is_torch_tf32_available():
            raise UserError("trainer.tf32=true needs a GPU that has such products (Ampere or later).")

    def training_arguments(
        self, checkpoints: Path, seed: int, wandb: bool, name: str, **engine: Any
    ) -> TrainingArguments:
        """engine: what `ntil.training.sharding.engine_arguments` gives."""
        gpu = torch.cuda.is_available()
        return OneDeviceArguments(
            output_dir=str(checkpoints),
            run_name=name,
            seed=seed,
            data_seed=seed,
            use_cpu=not gpu and "deepspeed" not in engine,
            full_determinism=self.deterministic,
            max_steps=self.max_steps,
            per_device_train_batch_size=self.batch_size,
            gradient_accumulation_steps=self.accumulation_steps,
            learning_rate=self.learning_rate,
            lr_scheduler_type=self.schedule,
            warmup_steps=round(self.warmup_share * self.max_steps),
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_grad_norm,
            optim=self.optimizer,
            bf16=self.precision == "bf16",
            fp16=self.precision == "fp16",
            logging_steps=self.log_steps,
            logging_nan_inf_filter=False,  # a NaN belongs in the log
            eval_strategy="steps" if self.eval_steps else "no",
            eval_steps=self.eval_steps or None,
            save_strategy="steps",
            save_steps=self.save_steps,
            save_total_limit=self.keep_checkpoints,
            dataloader_num_workers=self.loader_workers,
            dataloader_drop_last=True,
            dataloader_persistent_workers=self.persistent_workers and self.loader_workers > 0,
            dataloader_pin_memory=gpu,
            ddp_find_unused_parameters=self.find_unused_parameters,
            tf32=self.tf32 if gpu else None,
            torch_compile=self.torch_compile,
            use_liger_kernel=self.liger,
            # The loss is ours.
            liger_kernel_config={"cross_entropy": False, "fused_linear_cross_entropy": False},
            remove_unused_columns=False,
            report_to=["wandb"] if wandb else [],
            disable_tqdm=True,  # we show progress ourselves
            **engine,
        )
