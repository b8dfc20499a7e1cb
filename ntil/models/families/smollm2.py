"""SmolLM2: a Llama with grouped queries whose head is its embedding."""

from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ntil.models.family import Family, Published
from ntil.models.settings import TwinSettings
from ntil.models.twin_sizes import grouped_sizes
from ntil.models.twin_tokenizers import CHATML, TwinTokenizer


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, _: Any) -> LlamaConfig:
    return LlamaConfig(**grouped_sizes(sizes, tokenizer), tie_word_embeddings=True)


# As config.json of the hub's repository has them.
PUBLISHED = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": Published(
        {
            "vocab_size": 49152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
        },
        parameters=0.135,
    ),
}


FAMILY = Family(
    model_class=LlamaForCausalLM,
    twin_tokenizer=TwinTokenizer(
        kind="digits",
        special=CHATML,
        roles={"bos": "<|im_start|>", "eos": "<|im_end|>", "pad": "<|im_end|>"},
    ),
    twin_config=twin_config,
    packaged=True,
    published=PUBLISHED,
)
