"""Toy sizes for the configurations of twins, by the names that transformers gives them."""

from typing import Any

from transformers import PreTrainedTokenizerFast

from ntil.models.settings import TwinSettings

PATCH = 14  # pixels, of all the vision towers so far
PAD_TO = 64  # entries of the vocabulary; the families pad theirs too


def text_sizes(
    sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, key_value_heads: int | None = None
) -> dict[str, Any]:
    """What the configurations of all decoders share. key_value_heads: None for as many as there are heads."""
    return {
        "vocab_size": -(-len(tokenizer) // PAD_TO) * PAD_TO,
        "hidden_size": sizes.hidden_size,
        "intermediate_size": sizes.intermediate_size,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.heads if key_value_heads is None else key_value_heads,
        "max_position_embeddings": 4096,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def grouped_sizes(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """`text_sizes` with half as many heads of keys and values: grouped queries."""
    return text_sizes(sizes, tokenizer, max(1, sizes.heads // 2))


def vision_sizes(sizes: TwinSettings) -> dict[str, Any]:
    """What the configurations of CLIP and SigLIP share."""
    return {
        "hidden_size": sizes.hidden_size,
        "intermediate_size": sizes.intermediate_size,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "image_size": sizes.image_size,
        "patch_size": PATCH,
    }
