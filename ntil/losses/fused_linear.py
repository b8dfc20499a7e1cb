"""The vocabulary projection and the loss in one: full logits never exist.

Hidden states go through the projection some rows at a time; each chunk's logits become their own gradient, and that is
spent on the gradients of the hidden states and of the weight before the next chunk is made.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ntil.losses.fused import BLOCK, mean_weights, softmax_blocks

ROWS = 64  # at least so many rows in a chunk, for the matrix products' sake


class FusedLinearCrossEntropy(torch.autograd.Function):
    """As `FusedCrossEntropy`, from hidden states and the projection's weight instead of logits.

    apply(hidden [N, H], weight [V, H], bias [V] or None, targets [N], columns [K], column_gradient [N, K] or None,
    number [], (w_ce, w_number), by_ratio, label weights [N] or None) → (total, ce).
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        columns: Tensor,
        column_gradient: Tensor | None,
        number: Tensor,
        weights: tuple[Tensor | float, Tensor | float],
        by_ratio: bool,
        label_weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        valid = targets >= 0
        ce_weight, number_weight = weights
        row_weight = mean_weights(valid, label_weights)
        gradients = (
            _Gradients(hidden, weight, bias, ctx.needs_input_grad) if any(ctx.needs_input_grad[:3]) else None
        )
        ce = torch.zeros((), device=hidden.device)
        rows = max(ROWS, 16 * BLOCK // weight.shape[0])
        for start in range(0, len(hidden), rows):
            chunk = slice(start, start + rows)
            logits = torch.nn.functional.linear(hidden[chunk], weight, bias)
            target, share = targets[chunk].clamp(min=0), row_weight[chunk]
            nll = softmax_blocks(logits, target, share * ce_weight, None if gradients is None else logits)
            ce = ce + (nll * share).sum()
            if gradients is not None:
                gradients.add(chunk, logits)
        scale = number_weight * (ce / (number + 1e-10) if by_ratio else torch.ones_like(ce))
        if gradients is not None and column_gradient is not None:
            gradients.add_columns(columns, (column_gradient * scale).to(hidden.dtype))
        ctx.gradients = gradients
        ctx.mark_non_differentiable(ce)
        return ce_weight * ce + scale * number, ce

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError(
                "backward through the fused loss a second time; use fused=False to keep its graph."
            )
        return (*gradients.scaled(grad), None, None, None, None, None, None, None)


class _Gradients:
    """Gradients of the hidden states [N, H], the weight [V, H] and the bias [V], summed chunk by chunk in float32.

    A frozen weight or bias, as under LoRA, gets none.
    """

    def __init__(self, hidden: Tensor, weight: Tensor, bias: Tensor | None, wanted: Sequence[bool]) -> None:
        self._hidden, self._weight = hidden, weight
        self._dtypes = [hidden.dtype, weight.dtype, None if bias is None else bias.dtype]
        self.of_hidden = torch.empty_like(hidden)
        self.of_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted[1] else None
        self.of_bias = torch.zeros_like(bias, dtype=torch.float32) if bias is not None and wanted[2] else None

    def add(self, chunk: slice, of_logits: Tensor) -> None:
        torch.mm(of_logits, self._weight, out=self.of_hidden[chunk])
        if self.of_weight is not None and self._hidden.dtype == torch.float32:
            self.of_weight.addmm_(of_logits.T, self._hidden[chunk])
        elif self.of_weight is not None:
            self.of_weight += of_logits.T @ self._hidden[chunk]
        if self.of_bias is not None:
            self.of_bias += of_logits.sum(0, dtype=torch.float32)

    def add_columns(self, columns: Tensor, of_columns: Tensor) -> None:
        """The number loss's gradient, which touches the number tokens' rows of the weight only."""
        self.of_hidden += of_columns @ self._weight[columns]
        if self.of_weight is not None:
            self.of_weight.index_add_(0, columns, (of_columns.T @ self._hidden).float())
        if self.of_bias is not None:
            self.of_bias.index_add_(0, columns, of_columns.sum(0, dtype=torch.float32))

    def scaled(self, grad: Tensor) -> list[Tensor | None]:
        found = [self.of_hidden, self.of_weight, self.of_bias]
        return [
            None if g is None else g.mul_(grad.to(g.dtype)).to(dtype)
            for g, dtype in zip(found, self._dtypes, strict=True)
        ]
