"""Llama 3: grouped queries, and one to three digits a token."""

from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ntil.models.family import Family, Published
from ntil.models.settings import TwinSettings
from ntil.models.twin_sizes import grouped_sizes
from ntil.models.twin_tokenizers import TwinTokenizer

SPECIAL = (
    *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
)
ROLES = {"bos": "<|begin_of_text|>", "eos": "<|eot_id|>", "pad": "<|end_of_text|>"}


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, _: Any) -> LlamaConfig:
    return LlamaConfig(**grouped_sizes(sizes, tokenizer))


# As config.json of the hub's repository has them.
PUBLISHED = {
    "meta-llama/Meta-Llama-3-8B-Instruct": Published(
        {
            "vocab_size": 128256,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "max_position_embeddings": 8192,
        },
        parameters=8.03,
    ),
}


FAMILY = Family(
    model_class=LlamaForCausalLM,
    twin_tokenizer=TwinTokenizer(kind="triples", special=SPECIAL, roles=ROLES),
    twin_config=twin_config,
    published=PUBLISHED,
)
