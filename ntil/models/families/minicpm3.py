"""MiniCPM3: latent attention, whose queries, keys and values have two low-rank factors each."""

from typing import Any

from transformers import MiniCPM3Config, MiniCPM3ForCausalLM, PreTrainedTokenizerFast

from ntil.models.family import Family
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


FAMILY = Family(
    model_class=MiniCPM3ForCausalLM,
    twin_tokenizer=TwinTokenizer(
        kind="prefixed",
        special=["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"],
        roles={"unk": "<unk>", "bos": "<s>", "eos": "<|im_end|>", "pad": "<unk>"},
    ),
    twin_config=twin_config,
)
