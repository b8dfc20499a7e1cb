"""Cross-entropy and a number loss in one pass over the logits, with a single gradient buffer.

F.cross_entropy keeps log-probabilities [N, V] for its backward and then writes a gradient [N, V]; a number loss on top
adds a second gradient of that size. Here the gradient is written once, already in the forward: the softmax in blocks
of rows that stay in the cache, each row scaled by its weight and put right at its target, then the number tokens' columns.
"""

from typing import Any

import torch
from torch import Tensor

BLOCK = 2**20  # logits handled at a time: 4 MB in float32, about what a core's cache holds
# Float16 would underflow before a loss scaler could help; float64 is for tests.
DTYPES = (
    torch.float32,
    torch.bfloat16,
)


def can_fuse(logits: Tensor) -> bool:
    """Whether these logits take the fused path; torch.compile fuses the plain one by itself."""
    return logits.dtype in DTYPES and not torch.compiler.is_compiling()


class FusedCrossEntropy(torch.autograd.Function):
    """Cross-entropy plus a number loss with one gradient buffer; the number loss's own gradient comes in ready-made.

    apply(logits [B, T, V], labels [B, T], columns [K], column_gradient [B, T, K] or None, number [], (w_ce, w_number),
    by_ratio, overwrite, label weights [B, T] or None) → (total, ce), both []; only `total` = w_ce·ce + w_number·number is differentiable, w_number times
    ce / (number + 1e-10) where `by_ratio`. `overwrite` writes the gradient over the logits.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        labels: Tensor,
        columns: Tensor,
        column_gradient: Tensor | None,
        number: Tensor,
        weights: tuple[Tensor | float, Tensor | float],
        by_ratio: bool,
        overwrite: bool,
        label_weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        rows, targets = logits.detach().reshape(-1, logits.shape[-1]), labels.flatten()
        valid = targets >= 0
        ce_weight, weight = weights
        row_weight = mean_weights(valid, label_weights)
        off = row_weight == 0
        gradient = None
        if ctx.needs_input_grad[0]:
            gradient = rows if overwrite else torch.empty_like(rows, memory_format=torch.contiguous_format)
        nll = softmax_blocks(rows, targets.clamp(min=0), row_weight * ce_weight, off, gradient)
        ce = (nll * row_weight).sum()
        scale = weight * (ce / (number + 1e-10) if by_ratio else torch.ones_like(ce))
        if gradient is not None and column_gradient is not None:
            limit = torch.finfo(gradient.dtype).max
            extra = column_gradient.flatten(0, -2) * scale
            # Not index_add_: in half precision on a CPU it copies the whole buffer to float32 and back.
            there = (gradient.index_select(1, columns) + extra).clamp(-limit, limit)
            gradient.index_copy_(1, columns, there.to(gradient.dtype))
        ctx.gradient, ctx.shape = gradient, logits.shape
        ctx.mark_non_differentiable(ce)
        return ce_weight * ce + scale * number, ce

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            raise RuntimeError(
                "backward through the fused loss a second time; use fused=False to keep its graph."
            )
        # Training calls backward on the loss itself: the gradient is 1, and a pass over [N, V] is saved. On a GPU
        # looking would wait for the device, and the pass is cheap.
        if grad.device.type != "cpu" or grad.item() != 1.0:
            gradient.mul_(grad.to(gradient.dtype))
        return gradient.view(ctx.shape), None, None, None, None, None, None, None, None


def mean_weights(valid: Tensor, weights: Tensor | None) -> Tensor:
    """[N] what each row adds to a (weighted) mean over the valid ones; all 0 where there is nothing to divide by."""
    shares = valid.float() if weights is None else torch.where(valid, weights.flatten().float(), 0.0)
    total = shares.sum()
    return shares / torch.where(total > 0, total, torch.ones_like(total))


def softmax_blocks(
    logits: Tensor, targets: Tensor, row_weight: Tensor, off: Tensor, gradient: Tensor | None
) -> Tensor:
    """−log softmax at the targets [N]; writes row_weight · (softmax − onehot) into `gradient` [N, V], which may be the logits.

    Both are 0 in the rows that are `off` [N], whatever their logits hold; their row_weight is 0.
    """
    rows, width = logits.shape
    result = torch.empty(rows, dtype=torch.float32, device=logits.device)
    step = max(1, (BLOCK if logits.device.type == "cpu" else 64 * BLOCK) // width)
    in_place = gradient is not None and logits.dtype == torch.float32
    scratch = (
        None if in_place else torch.empty(min(step, rows), width, dtype=torch.float32, device=logits.device)
    )
    for start in range(0, rows, step):
        block = slice(start, start + step)
        if in_place:
            out = gradient[block]  # type: ignore[index]
        else:
            assert scratch is not None
            out = scratch[: len(logits[block])]
        at_target, weight = targets[block].unsqueeze(1), row_weight[block].unsqueeze(1)
        source = logits[block] if logits.dtype == torch.float32 else out.copy_(logits[block])
        torch.log_softmax(source, -1, out=out)
        nll = -out.gather(1, at_target).squeeze(1)
        result[block] = torch.where(off[block], 0.0, nll)
        if gradient is not None:
            out.exp_().mul_(weight).scatter_add_(1, at_target, -weight)
            _zero(out, off[block], nll)
            if not in_place:
                gradient[block] = out
    return result


def _zero(gradient: Tensor, off: Tensor, nll: Tensor) -> None:
    """Write 0 into the rows that are off, where weight 0 times softmax has not done so: 0 · NaN is NaN."""
    if gradient.device.type != "cpu":
        gradient.masked_fill_(off.unsqueeze(1), 0.0)
    elif (
        bad := off & ~nll.isfinite()
    ).any():  # looking waits for nothing on a CPU, and saves a pass over [N, V]
        gradient[bad] = 0.0
