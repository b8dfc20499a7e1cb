"""SmolLM2: a Llama with grouped queries whose head is its embedding."""

from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ntil.models.family import Family
from ntil.models.settings import TwinSettings
from ntil.models.twin_sizes import grouped_sizes
from ntil.models.twin_tokenizers import CHATML, TwinTokenizer


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, _: Any) -> LlamaConfig:
    return LlamaConfig(**grouped_sizes(sizes, tokenizer), tie_word_embeddings=True)


FAMILY = Family(
    model_class=LlamaForCausalLM,
    twin_tokenizer=TwinTokenizer(
        kind="digits",
        special=CHATML,
        roles={"bos": "<|im_start|>", "eos": "<|im_end|>", "pad": "<|im_end|>"},
    ),
    twin_config=twin_config,
    packaged=True,
)
