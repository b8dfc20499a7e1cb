"""LLaVA-1.5: a CLIP tower whose patches, without the class token, stand in the places of the image token."""

from typing import Any

from transformers import (
    CLIPImageProcessor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from ntil.models.family import CLIP_LINEARS, Family, Published, Vision
from ntil.models.settings import ModelSettings, TwinSettings
from ntil.models.twin_sizes import PATCH, text_sizes, vision_sizes
from ntil.models.twin_tokenizers import TwinTokenizer

IMAGE = "<image>"


def llava_config(
    config_class: type[LlavaConfig], text: dict[str, Any], sizes: TwinSettings, processor: LlavaProcessor
) -> LlavaConfig:
    """Of a Llama with the sizes `text` behind a CLIP tower."""
    return config_class(
        text_config={"model_type": "llama", **text},
        vision_config={"model_type": "clip_vision_model", **vision_sizes(sizes)},
        image_token_index=processor.image_token_id,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )


def llava_processor(
    sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, image_token: str
) -> LlavaProcessor:
    """CLIP's way with pictures, which come in squares."""
    side = {"height": sizes.image_size, "width": sizes.image_size}
    return LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": sizes.image_size}, crop_size=side),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the class token, which the strategy drops
        image_token=image_token,
    )


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, processor: Any) -> LlavaConfig:
    return llava_config(LlavaConfig, text_sizes(sizes, tokenizer), sizes, processor)


def twin_processor(_: ModelSettings, sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast) -> Any:
    return llava_processor(sizes, tokenizer, IMAGE)


# As config.json of the hub's repository has them.
PUBLISHED = {
    "llava-hf/llava-1.5-7b-hf": Published(
        {
            "text_config": {
                "model_type": "llama",
                "vocab_size": 32064,
                "hidden_size": 4096,
                "intermediate_size": 11008,
                "num_hidden_layers": 32,
                "num_attention_heads": 32,
                "num_key_value_heads": 32,
                "max_position_embeddings": 4096,
            },
            "vision_config": {
                "model_type": "clip_vision_model",
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "num_hidden_layers": 24,
                "num_attention_heads": 16,
                "image_size": 336,
                "patch_size": 14,
                "projection_dim": 768,
            },
            "image_token_index": 32000,
            "vision_feature_layer": -2,
            "vision_feature_select_strategy": "default",
        },
        parameters=7.063,
    ),
}


FAMILY = Family(
    model_class=LlavaForConditionalGeneration,
    twin_tokenizer=TwinTokenizer(
        kind="prefixed",
        special=["<unk>", "<s>", "</s>", IMAGE, "<pad>"],
        roles={"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "<pad>"},
        named={"image_token": IMAGE},
    ),
    twin_config=twin_config,
    vision=Vision(tower="vision_tower", linears=CLIP_LINEARS, twin_processor=twin_processor, square=True),
    published=PUBLISHED,
)
