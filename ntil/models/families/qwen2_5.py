"""Qwen2.5: grouped queries, biases on queries, keys and values."""

from typing import Any

from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from ntil.models.families.qwen2vl import BOX_MARKS, QWEN_TOKENIZER
from ntil.models.family import Family, Published
from ntil.models.settings import TwinSettings
from ntil.models.twin_sizes import grouped_sizes


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, _: Any) -> Qwen2Config:
    return Qwen2Config(**grouped_sizes(sizes, tokenizer))


# As config.json of the hub's repository has them.
PUBLISHED = {
    "Qwen/Qwen2.5-7B-Instruct": Published(
        {
            "vocab_size": 152064,
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "max_position_embeddings": 32768,
        },
        parameters=7.616,
    ),
    "Qwen/Qwen2.5-0.5B-Instruct": Published(
        {
            "vocab_size": 151936,
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32768,
            "tie_word_embeddings": True,
        },
        parameters=0.494,
    ),
}


FAMILY = Family(
    model_class=Qwen2ForCausalLM,
    twin_tokenizer=QWEN_TOKENIZER,
    twin_config=twin_config,
    answer_marks=BOX_MARKS,
    published=PUBLISHED,
)
