"""What autograd keeps for the backward, counted tensor by tensor: the oracle of the dry run's estimate.

The model's own forward runs on fake CUDA tensors (sizes without values), under the autocast of training and with flash
attention, so that no GPU and no memory are needed. Each storage counts once, parameters left out.
"""

import collections
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

FAKE = "cuda"


def saved_for_the_backward(
    model: Any, batch: int, length: int, keep: int, bf16: bool, inputs: dict[str, Any] | None = None
) -> collections.Counter[tuple[tuple[int, ...], torch.dtype]]:
    """Bytes by (shape, dtype) that a forward of `model` saves for B × T tokens and `keep` positions with logits.

    model: on the meta device; its tensors are replaced by fake ones. inputs: further ones, such as pixel_values.
    """
    with (
        FakeTensorMode(),
        _autocast(bf16),
        mock.patch("torch.nn.functional.scaled_dot_product_attention", _flash),
    ):
        _move(model)
        model.train()
        own = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
        kept: dict[
            int, tuple[Any, tuple[int, ...], torch.dtype]
        ] = {}  # the storage is held: no address is used twice

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in own:
                kept.setdefault(storage._cdata, (storage, tuple(tensor.shape), tensor.dtype))
            return tensor

        ids = torch.zeros(batch, length, dtype=torch.long, device=FAKE)
        more = {n: torch.empty(x.shape, dtype=x.dtype, device=FAKE) for n, x in (inputs or {}).items()}
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(input_ids=ids, logits_to_keep=keep, use_cache=False, **more)
        counts: collections.Counter[tuple[tuple[int, ...], torch.dtype]] = collections.Counter()
        for storage, shape, dtype in kept.values():
            counts[shape, dtype] += storage.nbytes()
    return counts


def _move(model: nn.Module) -> None:
    """The meta tensors of `model` as fake ones; tied ones stay tied."""
    made: dict[int, Tensor] = {}

    def fake(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            new = torch.empty(tensor.shape, dtype=tensor.dtype, device=FAKE)
            parameter = isinstance(tensor, nn.Parameter)
            made[id(tensor)] = nn.Parameter(new, requires_grad=tensor.requires_grad) if parameter else new
        return made[id(tensor)]

    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    tensors[name] = fake(tensor)  # type: ignore[assignment]


@contextmanager
def _autocast(bf16: bool) -> Iterator[None]:
    """`torch.autocast("cuda", torch.bfloat16)`, which refuses machines without CUDA."""
    before = torch.is_autocast_enabled(FAKE), torch.get_autocast_dtype(FAKE)
    torch.set_autocast_enabled(FAKE, bf16)
    torch.set_autocast_dtype(FAKE, torch.bfloat16)
    torch.autocast_increment_nesting()
    try:
        yield
    finally:
        if torch.autocast_decrement_nesting() == 0:
            torch.clear_autocast_cache()
        torch.set_autocast_enabled(FAKE, before[0])
        torch.set_autocast_dtype(FAKE, before[1])


def _flash(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """What `scaled_dot_product_attention` takes on a GPU: flash attention, or the memory-efficient one beside a mask."""
    if torch.is_autocast_enabled(FAKE):
        query, key, value = (x.to(torch.bfloat16) for x in (query, key, value))
    if attn_mask is None and query.dtype != torch.float32:
        flash: Tensor = torch.ops.aten._scaled_dot_product_flash_attention(
            query, key, value, dropout_p, is_causal, False, scale=scale
        )[0]
        return flash
    if enable_gqa:
        times = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
    efficient: Tensor = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, True, dropout_p, is_causal, scale=scale
    )[0]
    return efficient
