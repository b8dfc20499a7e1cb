"""Yi: a Llama with grouped queries."""

from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ntil.models.family import Family, Published
from ntil.models.settings import TwinSettings
from ntil.models.twin_sizes import grouped_sizes
from ntil.models.twin_tokenizers import TwinTokenizer

SPECIAL = ("<unk>", "<|startoftext|>", "<|endoftext|>")
ROLES = {"unk": "<unk>", "bos": "<|startoftext|>", "eos": "<|endoftext|>", "pad": "<unk>"}


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, _: Any) -> LlamaConfig:
    return LlamaConfig(**grouped_sizes(sizes, tokenizer))


# As config.json of the hub's repository has them.
PUBLISHED = {
    "01-ai/Yi-6B": Published(
        {
            "vocab_size": 64000,
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 4,
            "max_position_embeddings": 4096,
        },
        parameters=6.061,
    ),
}


FAMILY = Family(
    model_class=LlamaForCausalLM,
    twin_tokenizer=TwinTokenizer(kind="plain", special=SPECIAL, roles=ROLES),
    twin_config=twin_config,
    published=PUBLISHED,
)
