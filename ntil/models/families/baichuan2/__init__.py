"""Baichuan2 7B: a Llama, published in a layout and with a head of its own."""

from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ntil.models.families.baichuan2.layout import plan
from ntil.models.family import Family, Published, PublishedLayout
from ntil.models.settings import TwinSettings
from ntil.models.twin_sizes import text_sizes
from ntil.models.twin_tokenizers import TwinTokenizer


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, _: Any) -> LlamaConfig:
    return LlamaConfig(**text_sizes(sizes, tokenizer))


# As config.json of the hub's repository has them, in Llama's terms.
PUBLISHED = {
    "baichuan-inc/Baichuan2-7B-Base": Published(
        {
            "vocab_size": 125696,
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "max_position_embeddings": 4096,
        },
        parameters=7.506,
    ),
}


FAMILY = Family(
    model_class=LlamaForCausalLM,
    twin_tokenizer=TwinTokenizer(
        kind="prefixed",
        special=["<unk>", "<s>", "</s>"],
        roles={"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "<unk>"},
    ),
    twin_config=twin_config,
    layout=PublishedLayout(
        name="Baichuan2 7B",
        recognises=lambda published: published.get("model_type") == "baichuan",
        plan=plan,
    ),
    published=PUBLISHED,
)
