"""What a conversion will do, weight by weight, so that it can be checked in full before anything is written."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig

from ntil.errors import UserError
from ntil.models.convert.shards import stored, weight_files

NEEDED = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
KEPT = (
    *("num_key_value_heads", "hidden_act", "max_position_embeddings", "initializer_range", "rms_norm_eps"),
    *("pad_token_id", "bos_token_id", "eos_token_id", "attention_bias"),
)


@dataclass(frozen=True)
class Part:
    """What becomes of one published weight of this shape."""

    shape: tuple[int, ...]
    convert: Callable[[Tensor], dict[str, Tensor]]  # → our names


@dataclass(frozen=True)
class Source:
    """A folder with weights: their published names, and the names that may stand there and are left out."""

    folder: Path
    parts: dict[str, Part]
    left_out: re.Pattern[str]


@dataclass(frozen=True)
class Conversion:
    """Everything that the new folder will hold. tokenizer: or the processor that holds it."""

    config: Any
    tokenizer: Any
    sources: list[Source] = field(default_factory=list)


def renamed(name: str, shape: tuple[int, ...]) -> Part:
    """The weight as it is, under another name."""
    return Part(shape, lambda tensor: {name: tensor})


def shapes_of(model_class: Any, config: Any) -> dict[str, tuple[int, ...]]:
    """Every weight of the model to come, by name; no memory is taken."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in model_class(config).state_dict().items()}


def llama_config(published: dict[str, Any], where: Path, rotary_base: float) -> LlamaConfig:
    """The language model's configuration from the keys that all Llama-shaped ones share."""
    if lacks := [key for key in NEEDED if key not in published]:
        raise UserError(f"{where} lacks {', '.join(lacks)}.")
    if published.get("rope_scaling") is not None:
        raise UserError(
            f"{where} has rope_scaling, which the published model has not and which is not converted."
        )
    if "quantization_config" in published:
        raise UserError(f"{where} is of quantised weights; convert the full ones, and quantise when loading.")
    return LlamaConfig(
        **{key: published[key] for key in (*NEEDED, *KEPT) if key in published},
        rope_parameters={"rope_type": "default", "rope_theta": rotary_base},
        tie_word_embeddings=False,
        dtype=published.get("torch_dtype", published.get("dtype")),
    )


def check(source: Source) -> None:
    """Refuse a folder whose weights are not exactly the planned ones, before anything is written."""
    waiting = dict(source.parts)
    for file in weight_files(source.folder):
        for found in stored(file):
            part = waiting.pop(found.name, None)
            if part is None and found.name in source.parts:
                raise UserError(f"{file} holds {found.name} a second time.")
            if part is None and not source.left_out.search(found.name):
                raise UserError(f"{file} holds {found.name}, which this architecture has no place for.")
            if part is not None and part.shape != found.shape:
                raise UserError(
                    f"{file}: {found.name} is {list(found.shape)}, and by config.json it must be {list(part.shape)}."
                )
    if waiting:
        names = list(waiting)
        raise UserError(
            f"{source.folder} is not a whole checkpoint: it lacks {len(names)} weights "
            f"({', '.join(names[:3])}{', …' if len(names) > 3 else ''})."
        )
