"""`<family>_tiny`: a family's own architecture, processor and prompts at toy width, with random weights.

A twin's weights play the part of the published ones: they depend on `twin.weights_seed` and the sizes alone, not on the
run's seed, so that adapters trained on them can be loaded again.
"""

from typing import Any

import torch
from transformers import (
    CLIPImageProcessor,
    LlavaProcessor,
    PaliGemmaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    SiglipImageProcessor,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from ntil.errors import UserError
from ntil.models.families import Family
from ntil.models.settings import ModelSettings, TwinSettings
from ntil.models.twin_tokenizers import twin_tokenizer

PATCH = 14  # pixels, of all these vision towers
PAD_TO = 64  # entries of the vocabulary; the families pad theirs too


def build_twin(
    settings: ModelSettings, twin: TwinSettings, family: Family
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, Any]:
    """Model, tokenizer and processor (None for text models) of `settings.family` at the sizes of `twin`."""
    tokenizer = twin_tokenizer(settings.family, twin.tokenizer_folder)
    processor = twin_processor(settings, twin, tokenizer)
    model_class = family.load_class()
    try:
        config = _config(settings.family, family, twin, tokenizer, processor)
        config._attn_implementation = settings.attention
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(twin.weights_seed)
            model = model_class(config)
    except (ValueError, TypeError, RuntimeError, ImportError, ArithmeticError) as error:
        raise UserError(
            f"model={settings.name} cannot be built with these sizes: {type(error).__name__}: {error}"
        ) from error
    return model, tokenizer, processor


def _text_sizes(twin: TwinSettings, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """What the configurations of all decoders share."""
    return {
        "vocab_size": -(-len(tokenizer) // PAD_TO) * PAD_TO,
        "hidden_size": twin.hidden_size,
        "intermediate_size": twin.intermediate_size,
        "num_hidden_layers": twin.layers,
        "num_attention_heads": twin.heads,
        "num_key_value_heads": twin.heads,
        "max_position_embeddings": 4096,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def _config(
    name: str, family: Family, twin: TwinSettings, tokenizer: PreTrainedTokenizerFast, processor: Any
) -> Any:
    """The configuration of the family `name`, with what sets it apart: grouped queries, tied embeddings, latent attention."""
    text = _text_sizes(twin, tokenizer)
    grouped = {**text, "num_key_value_heads": max(1, twin.heads // 2)}
    if name == "qwen2vl":
        return _qwen2vl_config(grouped, twin, tokenizer)
    if name in ("llava15", "yivl"):
        return CONFIG_MAPPING[family.model_type](
            text_config={"model_type": "llama", **(text if name == "llava15" else grouped)},
            vision_config={"model_type": "clip_vision_model", **_vision_sizes(twin)},
            image_token_index=processor.image_token_id,
            vision_feature_layer=-2,
            vision_feature_select_strategy="default",
        )
    if name == "paligemma":
        return CONFIG_MAPPING["paligemma"](
            text_config={
                "model_type": "gemma",
                **{**text, "num_key_value_heads": 1, "head_dim": twin.hidden_size // twin.heads},
            },
            vision_config={"model_type": "siglip_vision_model", **_vision_sizes(twin)},
            projection_dim=twin.hidden_size,
            image_token_index=processor.image_token_id,
            vocab_size=text["vocab_size"],
            hidden_size=twin.hidden_size,
        )
    if name == "minicpm3":
        head = twin.hidden_size // twin.heads
        return CONFIG_MAPPING["minicpm3"](
            **text,
            kv_lora_rank=twin.hidden_size // 4,
            q_lora_rank=twin.hidden_size // 2,
            qk_nope_head_dim=head,
            qk_rope_head_dim=head // 2,
            dim_model_base=twin.hidden_size // 4,
        )
    if name == "smollm2":
        return CONFIG_MAPPING["llama"](**grouped, tie_word_embeddings=True)
    if name == "baichuan2":
        return CONFIG_MAPPING["llama"](**text)
    return CONFIG_MAPPING[family.model_type](**grouped)


def _vision_sizes(twin: TwinSettings) -> dict[str, Any]:
    return {
        "hidden_size": twin.hidden_size,
        "intermediate_size": twin.intermediate_size,
        "num_hidden_layers": twin.layers,
        "num_attention_heads": twin.heads,
        "image_size": twin.image_size,
        "patch_size": PATCH,
    }


def _qwen2vl_config(text: dict[str, Any], twin: TwinSettings, tokenizer: PreTrainedTokenizerFast) -> Any:
    half = twin.hidden_size // twin.heads // 2
    known = tokenizer.get_vocab()
    return CONFIG_MAPPING["qwen2_vl"](
        text_config={
            **text,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [half - 2 * (half * 3 // 8), half * 3 // 8, half * 3 // 8],
            },
        },
        vision_config={
            "depth": twin.layers,
            "embed_dim": twin.hidden_size,
            "hidden_size": twin.hidden_size,
            "num_heads": twin.heads,
            "patch_size": PATCH,
        },
        image_token_id=known["<|image_pad|>"],
        video_token_id=known["<|video_pad|>"],
        vision_start_token_id=known["<|vision_start|>"],
        vision_end_token_id=known["<|vision_end|>"],
    )


def twin_processor(settings: ModelSettings, twin: TwinSettings, tokenizer: PreTrainedTokenizerFast) -> Any:
    """The family's processor; None for text models."""
    side = {"height": twin.image_size, "width": twin.image_size}
    if settings.family == "qwen2vl":
        images = Qwen2VLImageProcessor(min_pixels=settings.min_pixels, max_pixels=settings.max_pixels)
        return Qwen2VLProcessor(images, tokenizer, Qwen2VLVideoProcessor())
    if settings.family in ("llava15", "yivl"):
        images = CLIPImageProcessor(size={"shortest_edge": twin.image_size}, crop_size=side)
        return LlavaProcessor(
            images,
            tokenizer,
            patch_size=PATCH,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,  # the class token, which the strategy drops
            image_token="<image>" if settings.family == "llava15" else "<image_placeholder>",
        )
    if settings.family == "paligemma":
        images = SiglipImageProcessor(size=side)
        images.image_seq_length = (twin.image_size // PATCH) ** 2
        return PaliGemmaProcessor(images, tokenizer)
    return None
