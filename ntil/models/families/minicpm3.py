"""MiniCPM3: latent attention, whose queries, keys and values have two low-rank factors each."""

from typing import Any

from transformers import MiniCPM3Config, MiniCPM3ForCausalLM, PreTrainedTokenizerFast

from ntil.models.family import Family, Published
from ntil.models.settings import TwinSettings
from ntil.models.twin_sizes import text_sizes
from ntil.models.twin_tokenizers import TwinTokenizer


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, _: Any) -> MiniCPM3Config:
    head = sizes.hidden_size // sizes.heads
    return MiniCPM3Config(
        **text_sizes(sizes, tokenizer),
        kv_lora_rank=sizes.hidden_size // 4,
        q_lora_rank=sizes.hidden_size // 2,
        qk_nope_head_dim=head,
        qk_rope_head_dim=head // 2,
        dim_model_base=sizes.hidden_size // 4,
    )


# As config.json of the hub's repository has them; the head is the embedding (untied, it would be 4.262 billion).
PUBLISHED = {
    "openbmb/MiniCPM3-4B": Published(
        {
            "vocab_size": 73448,
            "hidden_size": 2560,
            "intermediate_size": 6400,
            "num_hidden_layers": 62,
            "num_attention_heads": 40,
            "num_key_value_heads": 40,
            "max_position_embeddings": 32768,
            "q_lora_rank": 768,
            "kv_lora_rank": 256,
            "qk_nope_head_dim": 64,
            "qk_rope_head_dim": 32,
            "scale_emb": 12,
            "scale_depth": 1.4,
            "dim_model_base": 256,
            "tie_word_embeddings": True,
        },
        parameters=4.074,
    ),
}


FAMILY = Family(
    model_class=MiniCPM3ForCausalLM,
    twin_tokenizer=TwinTokenizer(
        kind="prefixed",
        special=["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"],
        roles={"unk": "<unk>", "bos": "<s>", "eos": "<|im_end|>", "pad": "<unk>"},
    ),
    twin_config=twin_config,
    published=PUBLISHED,
)
