"""The vocabulary projection, for a training that never makes full logits (`trainer.projection=hidden`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ntil.errors import UserError

# What some architectures do to the logits behind the product; none of the published families here does.
BEHIND = ("final_logit_softcapping", "logit_scale")


def plain_head(model: Any) -> nn.Linear:
    """The module that makes the logits by a product and nothing else, adapters around the model or not.

    What a family does to the hidden states before it (MiniCPM3 divides them) is part of what `passing_hidden` returns.
    UserError where the head is another.
    """
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    head = bare.get_output_embeddings()
    if type(head) is not nn.Linear:
        raise UserError(
            f"trainer.projection=hidden needs a head without adapters; that of {type(bare).__name__} is "
            f"{type(head).__name__}. Take it from model.tuning.targets, or use trainer.projection=full."
        )
    text = bare.config.get_text_config()
    if behind := [name for name in BEHIND if getattr(text, name, None) not in (None, 1.0)]:
        raise UserError(
            f"trainer.projection=hidden needs a head that is a plain product; {type(bare).__name__} has {behind[0]}. "
            "Use trainer.projection=full."
        )
    return head


@contextmanager
def passing_hidden(head: nn.Linear) -> Iterator[None]:
    """Inside, the model returns as its logits what would go into the head: hidden states [B, K, H] of the kept positions."""

    def forward(hidden: Tensor) -> Tensor:
        return hidden

    head.forward = forward  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del head.forward
