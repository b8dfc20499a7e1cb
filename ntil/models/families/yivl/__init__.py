"""Yi-VL: LLaVA with layer norms in its projector, published in a layout that transformers has no class for."""

from typing import Any

from transformers import PreTrainedTokenizerFast

from ntil.models.families.llava15 import llava_config, llava_processor
from ntil.models.families.yi import ROLES, SPECIAL
from ntil.models.families.yivl.layout import IMAGE_TOKEN, plan
from ntil.models.families.yivl.model import YiVLConfig, YiVLForConditionalGeneration
from ntil.models.family import CLIP_LINEARS, Family, PublishedLayout, Vision
from ntil.models.settings import ModelSettings, TwinSettings
from ntil.models.twin_sizes import grouped_sizes
from ntil.models.twin_tokenizers import TwinTokenizer


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, processor: Any) -> Any:
    return llava_config(YiVLConfig, grouped_sizes(sizes, tokenizer), sizes, processor)


def twin_processor(_: ModelSettings, sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast) -> Any:
    return llava_processor(sizes, tokenizer, IMAGE_TOKEN)


FAMILY = Family(
    model_class=YiVLForConditionalGeneration,
    twin_tokenizer=TwinTokenizer(kind="plain", special=[*SPECIAL, IMAGE_TOKEN], roles=ROLES),
    twin_config=twin_config,
    vision=Vision(tower="vision_tower", linears=CLIP_LINEARS, twin_processor=twin_processor, square=True),
    layout=PublishedLayout(
        name="Yi-VL", recognises=lambda published: "mm_vision_tower" in published, plan=plan
    ),
)
