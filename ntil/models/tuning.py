"""What is trained: all weights, or low-rank adapters (LoRA); with or without the vision tower."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    get_peft_model,
    prepare_model_for_kbit_training,
    set_peft_model_state_dict,
)
from safetensors.torch import load_file
from transformers import BitsAndBytesConfig, PreTrainedModel

from ntil.errors import UserError
from ntil.models.family import Family
from ntil.models.settings import TuningSettings

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def tune(model: PreTrainedModel, tuning: TuningSettings, family: Family) -> Any:
    """`model` with gradients where `tuning` wants them: itself, or wrapped by PEFT."""
    check_quantization(tuning)
    if tuning.quantize != "none":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if tuning.gradient_checkpointing:
        model.activation_checkpointing_enable()
    if tuning.method == "full":
        if tuning.freeze_vision and family.vision is not None:
            model.get_submodule(f"model.{family.vision.tower}").requires_grad_(False)
        return model
    _check_targets(model, tuning)
    config = LoraConfig(
        r=tuning.rank,
        lora_alpha=tuning.alpha,
        lora_dropout=tuning.dropout,
        target_modules=target_pattern(tuning, family),
    )
    with _quiet():
        return get_peft_model(model, config)


def check_quantization(tuning: TuningSettings) -> None:
    """UserError where the weights are to be quantised and trained."""
    if tuning.quantize != "none" and tuning.method == "full":
        raise UserError("model.tuning.quantize=4bit freezes the weights, so it needs tuning.method=lora.")


def _check_targets(model: PreTrainedModel, tuning: TuningSettings) -> None:
    linears = {n.rsplit(".", 1)[-1] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    linears -= {"lm_head"}  # it is trained whole or not at all
    if unknown := [name for name in tuning.targets if name not in linears]:
        raise UserError(
            f"model.tuning.targets: this model has no linear layer {', '.join(unknown)}; it has "
            f"{', '.join(sorted(linears))}."
        )


def target_pattern(tuning: TuningSettings, family: Family) -> str:
    """The regular expression of the modules' full names that get adapters."""
    language = rf".*\.({'|'.join(tuning.targets)})"
    if family.vision is None:
        return language
    pattern = rf"(?!model\.{family.vision.tower}\.){language}"
    if not tuning.freeze_vision:
        linears = "|".join(name.replace(".", r"\.") for name in family.vision.linears)
        pattern = rf"({pattern}|model\.{family.vision.tower}\..*\.({linears}))"
    return pattern


def quantization(tuning: TuningSettings) -> BitsAndBytesConfig | None:
    """4-bit weights (NF4, quantised constants), computed with in bfloat16."""
    if tuning.quantize == "none":
        return None
    if find_spec("bitsandbytes") is None or not torch.cuda.is_available():
        what = (
            "a CUDA device"
            if find_spec("bitsandbytes")
            else "the package bitsandbytes (pip install bitsandbytes)"
        )
        raise UserError(f"model.tuning.quantize=4bit needs {what}; use quantize=none here.")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def load_adapter_weights(model: Any, folder: Path) -> None:
    """The adapters that a run or a checkpoint saved in `folder`, into a model that has such adapters."""
    _put(model, load_file(folder / ADAPTER_WEIGHTS), folder / ADAPTER_WEIGHTS)


def load_adapters(model: PreTrainedModel, folder: Path, tuning: TuningSettings, family: Family) -> Any:
    """The base `model` with the adapters that a run with these settings saved in `folder`; none of it is trained.

    They are made as for training. PEFT's own file of settings, which can name other models and modules, is not read.
    """
    path = folder / ADAPTER_WEIGHTS
    if not path.exists():
        raise UserError(f"{folder} has no {ADAPTER_WEIGHTS}.")
    weights = load_file(path)
    ranks = {weight.shape[0] for name, weight in weights.items() if ".lora_A." in name}
    if tuning.method != "lora" or ranks != {tuning.rank}:
        raise UserError(
            f"{path} holds adapters of rank {', '.join(map(str, sorted(ranks))) or 'none'}; model.tuning says "
            f"method={tuning.method}, rank={tuning.rank}."
        )
    model = tune(model, replace(tuning, gradient_checkpointing=False), family)
    _put(model, weights, path)
    return model.requires_grad_(False)


def _put(model: Any, weights: dict[str, torch.Tensor], path: Path) -> None:
    """The adapters into the model; UserError where some are missing or left over, or weights of the base are among them."""
    if others := [name for name in weights if ".lora_" not in name]:
        raise UserError(f"{path} holds {others[0][:80]!r}, which is no adapter.")
    found: Any = set_peft_model_state_dict(model, weights)
    lacking = [name for name in found.missing_keys if ".lora_" in name]
    if lacking or found.unexpected_keys:
        raise UserError(
            f"{path} does not fit model.tuning: it lacks {len(lacking)} adapters and has {len(found.unexpected_keys)} others."
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """PEFT asks transformers for things by names that transformers is about to drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
