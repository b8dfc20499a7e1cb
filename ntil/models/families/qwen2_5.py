"""Qwen2.5: grouped queries, biases on queries, keys and values."""

from typing import Any

from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from ntil.models.families.qwen2vl import BOX_MARKS, QWEN_TOKENIZER
from ntil.models.family import Family
from ntil.models.settings import TwinSettings
from ntil.models.twin_sizes import grouped_sizes


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, _: Any) -> Qwen2Config:
    return Qwen2Config(**grouped_sizes(sizes, tokenizer))


FAMILY = Family(
    model_class=Qwen2ForCausalLM,
    twin_tokenizer=QWEN_TOKENIZER,
    twin_config=twin_config,
    answer_marks=BOX_MARKS,
)
