"""The vocabulary projection and the loss in one: full logits never exist.

Hidden states go through the projection some rows at a time; each chunk's logits become their own gradient, and that is
spent on the gradients of the hidden states and of the weight before the next chunk is made.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ntil.losses.functional import full_precision
from ntil.losses.fused import BLOCK, mean_weights, softmax_blocks

DTYPES = (torch.float32, torch.bfloat16, torch.float16)  # float64 is for tests, which have the logits
ROWS = 64  # at least so many rows in a chunk, for the matrix products' sake


class Head(NamedTuple):
    """How a model makes logits of its hidden states h: z = scale·(h·Wᵀ + b), or softcap·tanh(z / softcap)."""

    weight: Tensor  # W [V, H]
    bias: Tensor | None = None  # b [V]
    scale: float = 1.0
    softcap: float | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., H] → [..., V]; in float32 where there is a scale or a cap, so that they add no rounding of their own."""
        z = F.linear(hidden, self.weight, self.bias)
        if self.scale != 1.0 or self.softcap is not None:
            z = z.float() * self.scale
        return z if self.softcap is None else z.div_(self.softcap).tanh_().mul_(self.softcap)

    def slope(self, logits: Tensor) -> Tensor | float:
        """The derivative of the logits by h·Wᵀ + b."""
        return self.scale if self.softcap is None else (1 - (logits / self.softcap).square()).mul_(self.scale)

    def to(self, dtype: torch.dtype) -> "Head":
        return self._replace(
            weight=self.weight.to(dtype), bias=None if self.bias is None else self.bias.to(dtype)
        )

    def at(self, columns: Tensor) -> "Head":
        """The head of these tokens [K] alone, without a graph."""
        bias = None if self.bias is None else self.bias.detach()[columns]
        return self._replace(weight=self.weight.detach()[columns], bias=bias)


def product_dtype(hidden: Tensor, weight: Tensor) -> torch.dtype:
    """What the projection is computed in: bfloat16 where both are, or autocast asks for it; float32 otherwise."""
    kind = hidden.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        halves = torch.get_autocast_dtype(kind) == torch.bfloat16
    else:
        halves = hidden.dtype == weight.dtype == torch.bfloat16
    return torch.bfloat16 if halves else torch.float32


def checked_head(hidden: Tensor, head: Head) -> Head:
    """`head` where it goes with the hidden states [B, T, H]; ValueError otherwise."""
    weight, bias = head.weight, head.bias
    if weight.ndim != 2 or weight.shape[1] != hidden.shape[-1]:
        raise ValueError(
            f"expected hidden [B, T, H] and head_weight [V, H]; got {list(hidden.shape)} and {list(weight.shape)}."
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"expected head_weight [V, H] and head_bias [V]; got {list(weight.shape)} and {list(bias.shape)}."
        )
    for name, tensor in {"hidden": hidden, "head_weight": weight, "head_bias": bias}.items():
        if tensor is not None and tensor.dtype not in DTYPES:
            raise ValueError(f"from_hidden takes float32, bfloat16 or float16; {name} is {tensor.dtype}.")
    if not math.isfinite(head.scale) or head.scale == 0:
        raise ValueError(f"logit_scale must be a finite number other than 0, got {head.scale}.")
    if head.softcap is not None and not 0 < head.softcap < math.inf:
        raise ValueError(f"softcap must be positive (None for no cap), got {head.softcap}.")
    return head


def linear_cross_entropy(
    hidden: Tensor,
    head: Head,
    targets: Tensor,
    number: Tensor | None = None,
    columns: Tensor | None = None,
    column_gradient: Tensor | None = None,
    weights: tuple[Tensor | float, Tensor | float] = (1.0, 0.0),
    by_ratio: bool = False,
    label_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """(total [], ce []) of hidden states [B, T, H] and targets [B, T]; the rest is as for `FusedLinearCrossEntropy`."""
    total, ce = FusedLinearCrossEntropy.apply(
        hidden.flatten(0, -2),
        head.weight,
        head.bias,
        (head.scale, head.softcap),
        product_dtype(hidden, head.weight),
        targets.flatten(),
        columns,
        None if column_gradient is None else column_gradient.flatten(0, -2),
        torch.zeros((), device=hidden.device) if number is None else number,
        weights,
        by_ratio,
        None if label_weights is None else label_weights.flatten(),
    )
    return total, ce


class FusedLinearCrossEntropy(torch.autograd.Function):
    """As `FusedCrossEntropy`, from hidden states and a head instead of logits.

    apply(hidden [N, H], W [V, H], b [V] or None, (scale, softcap), dtype of the products, targets [N], columns [K],
    column_gradient [N, K] by h·Wᵀ + b or None, number [], (w_ce, w_number), by_ratio, label weights [N] or None) →
    (total, ce).
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        finish: tuple[float, float | None],
        dtype: torch.dtype,
        targets: Tensor,
        columns: Tensor | None,
        column_gradient: Tensor | None,
        number: Tensor,
        weights: tuple[Tensor | float, Tensor | float],
        by_ratio: bool,
        label_weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        wanted, dtypes = (
            ctx.needs_input_grad[:3],
            [hidden.dtype, weight.dtype, None if bias is None else bias.dtype],
        )
        head, hidden = Head(weight, bias, *finish).to(dtype), hidden.to(dtype)
        ce_weight, number_weight = weights
        row_weight = mean_weights(targets >= 0, label_weights)
        off = row_weight == 0
        gradients = _Gradients(hidden, head, wanted, dtypes) if any(wanted) else None
        ce = torch.zeros((), device=hidden.device)
        rows = max(ROWS, 16 * BLOCK // weight.shape[0])
        with full_precision(hidden.device):
            for start in range(0, len(hidden), rows):
                chunk = slice(start, start + rows)
                logits = head.logits(hidden[chunk])
                slope = 1.0 if gradients is None else head.slope(logits)
                target, share = targets[chunk].clamp(min=0), row_weight[chunk]
                into = None if gradients is None else logits
                nll = softmax_blocks(logits, target, share * ce_weight, off[chunk], into)
                ce = ce + (nll * share).sum()
                if gradients is not None:
                    gradients.add(chunk, logits.mul_(slope) if finish != (1.0, None) else logits)
            scale = number_weight * (ce / (number + 1e-10) if by_ratio else torch.ones_like(ce))
            if gradients is not None and columns is not None and column_gradient is not None:
                gradients.add_columns(columns, (column_gradient * scale).to(dtype))
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
        return (*gradients.scaled(grad), *[None] * 9)


class _Gradients:
    """Gradients of the hidden states [N, H], the weight [V, H] and the bias [V], summed chunk by chunk in float32.

    A frozen weight or bias, as under LoRA, gets none. `dtypes` are those of the three as they came.
    """

    def __init__(
        self, hidden: Tensor, head: Head, wanted: Sequence[bool], dtypes: Sequence[torch.dtype | None]
    ) -> None:
        self._hidden, self._weight, self._dtypes = hidden, head.weight, dtypes
        self.of_hidden = torch.empty_like(hidden)
        self.of_weight = torch.zeros_like(head.weight, dtype=torch.float32) if wanted[1] else None
        self.of_bias = None
        if head.bias is not None and wanted[2]:
            self.of_bias = torch.zeros_like(head.bias, dtype=torch.float32)

    def add(self, chunk: slice, of_products: Tensor) -> None:
        """`of_products` [n, V]: the gradient by h·Wᵀ + b."""
        if self.of_bias is not None:
            self.of_bias += of_products.sum(0, dtype=torch.float32)
        of_products = of_products.to(self._weight.dtype)
        torch.mm(of_products, self._weight, out=self.of_hidden[chunk])
        if self.of_weight is not None and self._hidden.dtype == torch.float32:
            self.of_weight.addmm_(of_products.T, self._hidden[chunk])
        elif self.of_weight is not None:
            self.of_weight += of_products.T @ self._hidden[chunk]

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
