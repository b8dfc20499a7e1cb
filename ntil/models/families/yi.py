"""Yi: a Llama with grouped queries."""

from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ntil.models.family import Family
from ntil.models.settings import TwinSettings
from ntil.models.twin_sizes import grouped_sizes
from ntil.models.twin_tokenizers import TwinTokenizer

SPECIAL = ("<unk>", "<|startoftext|>", "<|endoftext|>")
ROLES = {"unk": "<unk>", "bos": "<|startoftext|>", "eos": "<|endoftext|>", "pad": "<unk>"}


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, _: Any) -> LlamaConfig:
    return LlamaConfig(**grouped_sizes(sizes, tokenizer))


FAMILY = Family(
    model_class=LlamaForCausalLM,
    twin_tokenizer=TwinTokenizer(kind="plain", special=SPECIAL, roles=ROLES),
    twin_config=twin_config,
)
