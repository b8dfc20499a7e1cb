"""Baichuan2 7B to Llama.

    self_attn.W_pack.weight [3·hidden, hidden]   → q_proj, k_proj, v_proj, in that order
    lm_head.weight, normalised at every call     → its rows divided by their L2 norms, once

The rows are normalised by `F.normalize` in the precision in which they are stored, as the published model does when it runs.
From then on the head is a plain matrix: trained in full (not with LoRA) its rows may leave the unit sphere.

Assumed, since no published files were at hand: the 7B's config.json has `max_position_embeddings`; the 13B's has not (it has
`model_max_length` alone), hidden size 5120 and 40 layers; and 64,000 entries are the first generation's vocabulary, whose
head is not normalised.
"""

import re
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaForCausalLM

from ntil.errors import UserError
from ntil.models.convert.plan import Conversion, Part, Source, llama_config, renamed, shapes_of
from ntil.models.convert.tokenizer import check_vocabulary, published_tokenizer

ROTARY_BASE = 10_000.0
FIRST_GENERATION = 64_000  # entries; the second has 125,696
LEFT_OUT = re.compile(r"\.rotary_emb\.inv_freq$")  # follows from the base


def plan(source: Path, published: dict[str, Any]) -> Conversion:
    """The conversion of the folder `source`, whose config.json is `published`."""
    _refuse_relatives(source, published)
    config = llama_config(published, source / "config.json", ROTARY_BASE)
    config.architectures = ["LlamaForCausalLM"]
    tokenizer = published_tokenizer(source)
    check_vocabulary(tokenizer, config.vocab_size, source)
    parts = _parts(shapes_of(LlamaForCausalLM, config))
    return Conversion(config, tokenizer, [Source(source, parts, LEFT_OUT)])


def _refuse_relatives(source: Path, published: dict[str, Any]) -> None:
    """Models of the same model_type that are not Llama-shaped, or whose head is another."""
    if (
        "max_position_embeddings" not in published
        or published.get("hidden_size") == 5120
        or published.get("num_hidden_layers") == 40
    ):
        raise UserError(
            f"{source} looks like Baichuan's 13B (hidden_size {published.get('hidden_size')}, "
            f"{published.get('num_hidden_layers')} layers, max_position_embeddings "
            f"{published.get('max_position_embeddings', 'absent')}). It has ALiBi in place of rotary positions, "
            "which Llama cannot express; only the 7B is converted."
        )
    if published.get("vocab_size") == FIRST_GENERATION:
        raise UserError(
            f"{source} looks like the first generation of Baichuan (a vocabulary of {FIRST_GENERATION:,}), whose head is "
            "not normalised; only Baichuan2 7B is converted."
        )


def _parts(shapes: dict[str, tuple[int, ...]]) -> dict[str, Part]:
    """Published name → what becomes of it, for Llama's weights."""
    parts = {}
    for name, shape in shapes.items():
        if ".q_proj." in name:
            three = [name.replace("q_proj", f"{which}_proj") for which in "qkv"]
            parts[name.replace("q_proj", "W_pack")] = _packed(three, shape)
        elif name == "lm_head.weight":
            parts[name] = Part(shape, lambda head: {"lm_head.weight": F.normalize(head)})
        elif ".k_proj." not in name and ".v_proj." not in name:
            parts[name] = renamed(name, shape)
    return parts


def _packed(names: list[str], shape: tuple[int, ...]) -> Part:
    """Rows of three matrices of this shape, one after the other."""

    def unpack(packed: Tensor) -> dict[str, Tensor]:
        return dict(zip(names, packed.chunk(3), strict=True))

    return Part((3 * shape[0], *shape[1:]), unpack)
