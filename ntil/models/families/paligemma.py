"""PaliGemma: a SigLIP tower before a Gemma that reads picture and prompt both ways; boxes are location tokens."""

from typing import Any

from transformers import (
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    PreTrainedTokenizerFast,
    SiglipImageProcessor,
)

from ntil.models.family import CLIP_LINEARS, Family, Published, Vision
from ntil.models.settings import ModelSettings, TwinSettings
from ntil.models.twin_sizes import PATCH, text_sizes, vision_sizes
from ntil.models.twin_tokenizers import TwinTokenizer


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, processor: Any) -> PaliGemmaConfig:
    text = text_sizes(sizes, tokenizer, key_value_heads=1)
    return PaliGemmaConfig(
        text_config={"model_type": "gemma", **text, "head_dim": sizes.hidden_size // sizes.heads},
        vision_config={"model_type": "siglip_vision_model", **vision_sizes(sizes)},
        projection_dim=sizes.hidden_size,
        image_token_index=processor.image_token_id,
        vocab_size=text["vocab_size"],
        hidden_size=sizes.hidden_size,
    )


def twin_processor(_: ModelSettings, sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast) -> Any:
    images = SiglipImageProcessor(size={"height": sizes.image_size, "width": sizes.image_size})
    images.image_seq_length = (sizes.image_size // PATCH) ** 2
    return PaliGemmaProcessor(images, tokenizer)


# As config.json of the hub's repository has them.
PUBLISHED = {
    "google/paligemma-3b-pt-224": Published(
        {
            "text_config": {
                "model_type": "gemma",
                "vocab_size": 257216,
                "hidden_size": 2048,
                "intermediate_size": 16384,
                "num_hidden_layers": 18,
                "num_attention_heads": 8,
                "num_key_value_heads": 1,
                "max_position_embeddings": 8192,
                "head_dim": 256,
            },
            "vision_config": {
                "model_type": "siglip_vision_model",
                "hidden_size": 1152,
                "intermediate_size": 4304,
                "num_hidden_layers": 27,
                "num_attention_heads": 16,
                "image_size": 224,
                "patch_size": 14,
                "vision_use_head": False,
            },
            "projection_dim": 2048,
            "image_token_index": 257152,
            "vocab_size": 257216,
            "hidden_size": 2048,
        },
        parameters=2.923,
    ),
}


FAMILY = Family(
    model_class=PaliGemmaForConditionalGeneration,
    twin_tokenizer=TwinTokenizer(
        kind="plain",
        special=["<pad>", "<eos>", "<bos>", "<unk>"],
        roles={"unk": "<unk>", "bos": "<bos>", "eos": "<eos>", "pad": "<pad>"},
    ),
    twin_config=twin_config,
    vision=Vision(
        tower="vision_tower", linears=CLIP_LINEARS, twin_processor=twin_processor, needs_picture=True
    ),
    answer_marks=r"<loc[0-9]{4}>",
    published=PUBLISHED,
    more_tokens=tuple(f"<loc{number:04d}>" for number in range(1024)),
)
