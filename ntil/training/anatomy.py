"""What of a model decides the memory that it takes: its stacks of layers and their sizes, read from its modules."""

from typing import Any, NamedTuple

from torch import nn

from ntil.models.family import Vision
from ntil.models.load import logit_width


class Linear(NamedTuple):
    """A linear layer's name inside its layer, and its widths."""

    name: str
    inputs: int
    outputs: int

    @property
    def is_output(self) -> bool:
        """Whether it reads what the attention has written, which is kept anyway."""
        return self.name.endswith(("o_proj", "out_proj", "attn.proj"))


class Stack(NamedTuple):
    """Equal layers on top of each other: the decoder, or a vision tower.

    norms: the widths of a layer's norms, summed. queries, values: over all heads. cached: values a position and layer in the cache.
    positions: patches of one picture in the tower; 0 for the decoder, whose positions are tokens.
    """

    layers: int
    hidden: int
    feed_forward: int
    gated: bool
    norms: int
    queries: int
    values: int
    cached: int
    linears: tuple[Linear, ...]
    parameters: int  # of one layer
    positions: int = 0

    @property
    def linear_weights(self) -> int:
        return sum(linear.inputs * linear.outputs for linear in self.linears)


class Anatomy(NamedTuple):
    """A model in numbers. stacks: the decoder first, then the vision tower where there is one that counts."""

    parameters: int
    tower_parameters: int
    stacks: tuple[Stack, ...]
    logit_width: int


def anatomy_of(model: Any, vision: Vision | None) -> Anatomy:
    """Of a model on any device, adapters around it or not (they don't count). vision: None for `tiny` and text models."""
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    text, stacks, tower = bare.config.get_text_config(), [], None
    if vision is not None:
        tower = bare.get_submodule(f"model.{vision.tower}")
    stacks.append(_decoder(bare, text, tower))
    if vision is not None and tower is not None:
        shape = vision.shape(tower.config)
        stacks.append(
            _stack(
                _layers(tower, None),
                shape.hidden,
                shape.feed_forward,
                heads=(shape.hidden, shape.hidden, 0),
                positions=shape.patches,
            )
        )
    return Anatomy(
        _count(bare),
        _count(tower) if tower is not None else 0,
        tuple(stacks),
        logit_width(bare),
    )


def _decoder(model: Any, text: Any, tower: Any) -> Stack:
    heads = text.num_attention_heads
    grouped = getattr(text, "num_key_value_heads", None) or heads
    width = getattr(text, "qk_head_dim", None) or getattr(text, "head_dim", None) or text.hidden_size // heads
    value = getattr(text, "v_head_dim", None) or width
    return _stack(
        _layers(model, tower),
        text.hidden_size,
        text.intermediate_size,
        heads=(heads * width, heads * value, grouped * (width + value)),
    )


def _stack(
    layers: nn.ModuleList, hidden: int, feed_forward: int, heads: tuple[int, int, int], positions: int = 0
) -> Stack:
    first = layers[0]
    named = [
        (name.removesuffix(".base_layer"), module)
        for name, module in first.named_modules()
        if "lora_" not in name
    ]
    linears = tuple(
        Linear(name, module.in_features, module.out_features)
        for name, module in named
        if isinstance(module, nn.Linear)
    )
    norms = sum(module.weight.numel() for _, module in named if "Norm" in type(module).__name__)
    gated = any(linear.name.endswith("gate_proj") for linear in linears)
    return Stack(len(layers), hidden, feed_forward, gated, norms, *heads, linears, _count(first), positions)


def _layers(part: Any, other: Any) -> nn.ModuleList:
    """The longest list of modules in `part` and outside `other`."""
    inside = set(other.modules()) if other is not None else set()
    lists = [m for m in part.modules() if isinstance(m, nn.ModuleList) and m not in inside]
    return max(lists, key=len)


def _count(module: Any) -> int:
    return sum(weight.numel() for name, weight in module.named_parameters() if ".lora_" not in name)
