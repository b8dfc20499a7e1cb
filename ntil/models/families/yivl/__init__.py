"""Yi-VL: LLaVA with layer norms in its projector, published in a layout that transformers has no class for."""

from typing import Any

from transformers import PreTrainedTokenizerFast

from ntil.models.families.llava15 import llava_config, llava_processor
from ntil.models.families.yi import ROLES, SPECIAL
from ntil.models.families.yivl.layout import IMAGE_TOKEN, plan
from ntil.models.families.yivl.model import YiVLConfig, YiVLForConditionalGeneration
from ntil.models.family import CLIP_LINEARS, Family, Published, PublishedLayout, Vision
from ntil.models.settings import ModelSettings, TwinSettings
from ntil.models.twin_sizes import grouped_sizes
from ntil.models.twin_tokenizers import TwinTokenizer


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, processor: Any) -> Any:
    return llava_config(YiVLConfig, grouped_sizes(sizes, tokenizer), sizes, processor)


def twin_processor(_: ModelSettings, sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast) -> Any:
    return llava_processor(sizes, tokenizer, IMAGE_TOKEN)


# As config.json and the tower's of the hub's repository have them, in LLaVA's terms. No count of its parameters was published.
PUBLISHED = {
    "01-ai/Yi-VL-6B": Published(
        {
            "text_config": {
                "model_type": "llama",
                "vocab_size": 64000,
                "hidden_size": 4096,
                "intermediate_size": 11008,
                "num_hidden_layers": 32,
                "num_attention_heads": 32,
                "num_key_value_heads": 4,
                "max_position_embeddings": 4096,
            },
            "vision_config": {
                "model_type": "clip_vision_model",
                "hidden_size": 1280,
                "intermediate_size": 5120,
                "num_hidden_layers": 32,
                "num_attention_heads": 16,
                "image_size": 448,
                "patch_size": 14,
                "projection_dim": 1024,
            },
            "image_token_index": 64000,
            "vision_feature_layer": -2,
            "vision_feature_select_strategy": "default",
        },
        parameters=None,
    ),
}


FAMILY = Family(
    model_class=YiVLForConditionalGeneration,
    twin_tokenizer=TwinTokenizer(kind="plain", special=[*SPECIAL, IMAGE_TOKEN], roles=ROLES),
    twin_config=twin_config,
    vision=Vision(tower="vision_tower", linears=CLIP_LINEARS, twin_processor=twin_processor, square=True),
    layout=PublishedLayout(
        name="Yi-VL", recognises=lambda published: "mm_vision_tower" in published, plan=plan
    ),
    published=PUBLISHED,
)
