"""Which engine divides a training among processes: plain copies (DDP), FSDP2 of Accelerate, or DeepSpeed's ZeRO.

    none     each process has the whole model, its gradients and its optimiser
    zero2    each has the whole model, and its part of gradients and optimiser
    fsdp     each has its part of everything; a layer is put together while it is computed
    zero3    the same, by DeepSpeed

What is trained is the same; what a process keeps is less. The model that training ends with is gathered into one file.
"""

import gc
import os
from importlib.util import find_spec
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from ntil.errors import UserError
from ntil.models import Subject
from ntil.runs.processes import count
from ntil.training.settings import TrainerSettings

STAGES = {"zero2": 2, "zero3": 3}
ONE_COPY_EACH = (
    DistributedType.NO,
    DistributedType.MULTI_CPU,
)  # for which accelerate passes other engines over


def check_sharding(settings: TrainerSettings) -> None:
    """UserError where the engine that is asked for cannot be had here; once the processes have met."""
    if (launched := os.environ.get("ACCELERATE_MIXED_PRECISION", "no")) not in ("no", settings.precision):
        raise UserError(
            f"accelerate was configured for {launched}, and trainer.precision={settings.precision}; say the same in both."
        )
    asked = f"trainer.sharding={settings.sharding}"
    if settings.sharding == "none":
        return
    if count() == 1:
        raise UserError(
            f"{asked} divides a training among processes, and this is one. Start it with torchrun --nproc-per-node N, or set "
            "trainer.sharding=none."
        )
    if settings.sharding in STAGES and find_spec("deepspeed") is None:
        raise UserError(
            f"{asked} needs DeepSpeed (pip install deepspeed); trainer.sharding=fsdp needs nothing."
        )
    if PartialState(cpu=not torch.cuda.is_available()).distributed_type in ONE_COPY_EACH:
        raise UserError(
            f"{asked} needs GPUs: on these devices accelerate would quietly train whole copies. Set trainer.sharding=none."
        )
    if settings.on_divergence == "skip" and settings.sharding in STAGES:
        raise UserError(
            f"{asked} makes its steps inside the backward pass, so none can be left out: set trainer.on_divergence=stop."
        )


def engine_arguments(settings: TrainerSettings, model: Any) -> dict[str, Any]:
    """What TrainingArguments take for `settings.sharding`."""
    if settings.sharding == "none":
        return {}
    if settings.sharding == "fsdp":
        return {
            "fsdp": True,
            "fsdp_config": {
                "version": 2,
                "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
                "transformer_layer_cls_to_wrap": _layers(model),
                "reshard_after_forward": True,
                # One file that any number of processes reads.
                "state_dict_type": "FULL_STATE_DICT",
            },
        }
    stage = STAGES[settings.sharding]
    return {
        "deepspeed": {
            "zero_optimization": {
                "stage": stage,
                "overlap_comm": torch.cuda.is_available(),
                "contiguous_gradients": True,
                "stage3_gather_16bit_weights_on_model_save": True,
            },
            "train_micro_batch_size_per_gpu": "auto",
            "gradient_accumulation_steps": "auto",
            "gradient_clipping": "auto",
            "bf16": {"enabled": "auto"},
            "fp16": {"enabled": "auto"},
        }
    }


def _layers(model: Any) -> list[str]:
    """The classes of layers that are put together one at a time: those that transformers keeps whole, of which the model has any."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    present = {type(module).__name__ for module in base.modules()}
    return sorted(present & set(base._no_split_modules or ()))


def may_lack_gradients(subject: Subject, pictures: bool) -> bool:
    """Whether a step may leave trained weights without a gradient, which DDP must then be told.

    A vision tower that no picture goes through, or whose last layers a family does not read. pictures: the records have some.
    """
    vision = subject.adapter.vision
    if vision is None:  # `tiny` uses all of its tower
        return not pictures and getattr(subject.adapter, "processor", None) is not None
    ends = f"model.{vision.tower}"
    tower = next(module for name, module in subject.model.named_modules() if name.endswith(ends))
    return any(weights.requires_grad for weights in tower.parameters())


def check_engine(trainer: Any, settings: TrainerSettings) -> None:
    """UserError where the trainer took another engine than is asked for, such as one that `accelerate config` names."""
    taken = trainer.accelerator.distributed_type
    divided = {"fsdp": DistributedType.FSDP, **dict.fromkeys(STAGES, DistributedType.DEEPSPEED)}
    wanted = divided.get(settings.sharding)
    if taken != wanted if wanted else taken in divided.values():
        raise UserError(
            f"trainer.sharding={settings.sharding} was asked for, and accelerate took {taken.value}."
        )


def forget_engine() -> None:
    """After a training: models are loaded whole again, and the memory of the divided one is given back."""
    unset_hf_deepspeed_config()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
