"""The terms as pure tensor functions: no modules, no loops over tokens, nothing read back to the host.

Numbers are handled in units of the label's leading place: 0.314 for 314 with `unit` = 10⁻³. So nothing overflows
whatever a number's length, and the published terms become functions of the target y and the error d = x − y alone.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ntil.numbers import Spans

_AUTOCAST = ("cpu", "cuda", "xpu", "mps")
GRADIENT_LIMIT = 1e30  # keeps the chain rule finite behind a number's leading digits; see `widen`


class _GatherColumns(torch.autograd.Function):
    """logits[..., columns] in the computing dtype; backward writes one buffer of the logits' size, mostly untouched."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, columns: Tensor, first: int | None) -> Tensor:
        ctx.save_for_backward(columns)
        ctx.first, ctx.shape, ctx.dtype = first, logits.shape, logits.dtype
        picked = (
            logits.index_select(-1, columns) if first is None else logits.narrow(-1, first, columns.shape[0])
        )
        return picked.to(computing_dtype(logits.dtype), copy=True)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (columns,) = ctx.saved_tensors
        grad = saturated(grad, ctx.dtype)
        full = grad.new_zeros(ctx.shape)
        if ctx.first is None:
            full.index_copy_(-1, columns, grad)
        else:
            full.narrow(-1, ctx.first, columns.shape[0]).copy_(grad)
        return full, None, None


class _GatherWithNormaliser(torch.autograd.Function):
    """The same columns and log Σ exp of all; their gradients nearly cancel, so they are added before they are rounded."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, columns: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        wide = logits.to(computing_dtype(logits.dtype))
        normaliser = wide.logsumexp(-1)
        ctx.save_for_backward(logits, normaliser, columns, kept)
        return without_masked(wide.index_select(-1, columns), kept), torch.where(kept, normaliser, 0.0)

    @staticmethod
    def backward(ctx: Any, of_columns: Tensor, of_normaliser: Tensor) -> tuple[Tensor, None, None]:
        logits, normaliser, columns, kept = ctx.saved_tensors
        softmax = (logits.to(normaliser.dtype) - normaliser.unsqueeze(-1)).exp()
        grad = (softmax * of_normaliser.unsqueeze(-1)).index_add(-1, columns, of_columns)
        return saturated(without_masked(grad, kept), logits.dtype), None, None


class _KeepGradient(torch.autograd.Function):
    """x as it is; its gradient is 0 at the rows that are not `kept`, whatever it was."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor) -> Tensor:
        ctx.save_for_backward(kept)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        # In place, which saves a second buffer: x stays inside the loss, so nobody else holds its gradient.
        return grad.masked_fill_(~kept.unsqueeze(-1), 0.0), None


def saturated(grad: Tensor, dtype: torch.dtype) -> Tensor:
    """In `dtype`, where float16 ends at 65,504: cut to half of the range, so that what else is added makes no infinity of it."""
    limit = torch.finfo(dtype).max / 2
    return grad.clamp(-limit, limit).to(dtype)


class _Widen(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.dtype = x.dtype
        return x.to(wide_dtype(x.device))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.clamp(-GRADIENT_LIMIT, GRADIENT_LIMIT).to(ctx.dtype)


def gather_with_normaliser(logits: Tensor, columns: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """logits [..., V], columns [K], kept [...] → ([..., K], log Σ exp over V [...]) in float32 or wider; 0 where not kept."""
    picked, normaliser = _GatherWithNormaliser.apply(logits, columns, kept)
    return picked, normaliser


def without_masked(x: Tensor, kept: Tensor) -> Tensor:
    """x [..., K] with 0 in the rows that are not kept [...]; NaN and infinity there do not count, nor do their gradients."""
    return torch.where(kept.unsqueeze(-1), x, 0.0)


def gradient_where(x: Tensor, kept: Tensor) -> Tensor:
    """x [..., V] itself, whose gradient is exactly 0 in the rows that are not kept [...]. For losses that give such rows a
    gradient of 0, which the softmax's derivative turns into NaN where the row holds NaN or infinity."""
    same: Tensor = _KeepGradient.apply(x, kept)
    return same


def gather_columns(logits: Tensor, columns: Tensor, first: int | None = None) -> Tensor:
    """logits [..., V], columns [K] → [..., K] in float32 or wider; `first` says that the columns are first … first+K−1."""
    picked: Tensor = _GatherColumns.apply(logits, columns, first)
    return picked


def widen(x: Tensor) -> Tensor:
    """x in float64 (float32 where the device has none); the gradient comes back clamped to ±1e30.

    The derivative of a 60-digit number by its leading digit is 10⁵⁹: right, and beyond float32. Numbers below 10³⁰
    never meet the limit.
    """
    wide: Tensor = _Widen.apply(x)
    return wide


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """No autocast inside: products of probabilities are too few to save time on, and bf16 would cost digits."""
    return torch.autocast(device.type, enabled=False) if device.type in _AUTOCAST else nullcontext()


def computing_dtype(dtype: torch.dtype) -> torch.dtype:
    """Half-precision logits are computed on in float32."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def wide_dtype(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def power_of_ten(exponent: Tensor) -> Tensor:
    """10^exponent in the wide dtype, held within its range: beyond about 300 places a number saturates."""
    dtype = wide_dtype(exponent.device)
    limit = 300.0 if dtype == torch.float64 else 37.0
    return torch.pow(10.0, exponent.to(dtype).clamp(-limit, limit))


def leading_scale(spans: Spans) -> Tensor:
    """[B, T] 10^place of each token's last digit in units of its number's leading place; 0 where it is no number token."""
    scale = power_of_ten(spans.place - spans.lead.gather(-1, spans.number))
    return torch.where(spans.is_number, scale, 0.0)


def digit_emd(probabilities: Tensor, digit: Tensor) -> Tensor:
    """Earth Mover's Distance to a one-hot target: Σ_j |j − d|·p_j (NTIL, token level).

    probabilities [..., base], digit [...] → [...] in digits.
    """
    base = probabilities.shape[-1]
    steps = torch.arange(base, device=probabilities.device, dtype=probabilities.dtype)
    return (probabilities * (steps - digit.unsqueeze(-1)).abs()).sum(-1)


def position_weight(rank: Tensor, sigma: float) -> Tensor:
    """(1+σ)^rank for the digit with `rank` digits to its right (NTIL's w_i = (1+σ)^(n−i−1))."""
    # Beyond 10³⁰ (379 digits at σ = 0.2) leading digits weigh alike, so that float32 holds what they multiply.
    return (rank.to(wide_dtype(rank.device)) * math.log1p(sigma)).clamp(max=69.0).exp()


def digit_marginals(probabilities: Tensor, digits: Tensor, base: int = 10) -> Tensor:
    """Distribution over each digit of multi-digit tokens: [..., K] and digits [K, w] → [..., w, base]."""
    one_hot = torch.nn.functional.one_hot(digits, base).to(probabilities.dtype)  # [K, w, base]
    return (probabilities @ one_hot.flatten(1)).unflatten(-1, (digits.shape[1], base))


class TokenOff(NamedTuple):
    """What a token says of its label's value d, [...] each in the wide dtype: see `token_off`."""

    right: Tensor  # log p(d)
    error: Tensor  # E[a − d]
    distance: Tensor  # E|a − d|
    sign: Tensor  # E[sign(a − d)]


def token_off(probabilities: Tensor, values: Tensor, value: Tensor) -> TokenOff:
    """How a distribution [..., K] over tokens worth values [K] lies about the label's value d [...]."""
    steps = values - value.unsqueeze(-1)  # a − d
    p = widen(probabilities)
    right = (p * (steps == 0)).sum(-1).clamp_min(torch.finfo(p.dtype).tiny).log()
    return TokenOff(right, (p * steps).sum(-1), (p * steps.abs()).sum(-1), (p * steps.sign()).sum(-1))


def within_number(x: Tensor, first: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """(sum of x before each token in its number, and after it), all [B, T]; x is 0 where it is no number token."""
    zero = torch.zeros_like(x)
    running = x.cumsum(-1)
    start = zero.scatter_add(-1, number, torch.where(first, running - x, zero))
    total = zero.scatter_add(-1, number, x)
    before = running - x - start.gather(-1, number)
    return before, total.gather(-1, number) - before - x


def number_emd(off: TokenOff, first: Tensor, number: Tensor, scale: Tensor) -> Tensor:
    """E|X − Y|: Earth Mover's Distance of a whole number's distribution to the target, its tokens taken independently.

    off (all 0 where it is no number token), first (a number's first token), number, scale (the place value of the token's
    last digit) [B, T], in reading order → [B, T] by number, in units of `scale`.

    The first wrong token decides the sign of X − Y, so with P_k = Π_{j<k} p_j(d_j) and the later tokens' expected error
    R_k = Σ_{j>k} scale_j·E[a_j − d_j], the sum over the possible first errors is exact and linear in each token:
    E|X−Y| = Σ_k P_k · Σ_a p_k(a)·(scale_k·|a − d_k| + sign(a − d_k)·R_k).
    """
    zero = torch.zeros_like(scale)

    prefix_right = within_number(off.right, first, number)[0].clamp(max=0.0).exp()
    later_error = within_number(scale * off.error, first, number)[1]
    share = prefix_right * (scale * off.distance + off.sign * later_error)
    return zero.scatter_add(-1, number, share)


def constructed_value(
    logits: Tensor, values: Tensor, tau: float, noise_scale: float, straight_through: bool = True
) -> Tensor:
    """The value the model would write, differentiably (NTIL's number construction).

    A Gumbel-softmax of logits [..., K] at temperature τ over tokens worth values [K] → [...]. Straight-through: the
    value of the most likely token, with the gradient of the soft one. Noise is −log(Exp(1))·noise_scale, added to the
    logits. Returned in the wide dtype.
    """
    z = logits
    if noise_scale:
        z = z - torch.empty_like(z).exponential_().log() * noise_scale
    soft = widen((z / tau).softmax(-1)) @ values.to(wide_dtype(z.device))
    if not straight_through:
        return soft
    hard = values[z.argmax(-1)].to(soft.dtype)
    return hard + (soft - soft.detach())


def relative_deviation(error: Tensor, target: Tensor, unit: Tensor, epsilon: float) -> Tensor:
    """L_rel = |X−Y| / (max(X,Y) + ε), 0 where X = Y; all in units of the leading place, unit = 1 in those units."""
    return error.abs() / (target + error.relu() + epsilon * unit)


def log_magnitude(size: Tensor, power: Tensor) -> Tensor:
    """log(1 + size·10^power), whatever the power, which counts no further than ±300 (±37 in float32)."""
    limit = math.log10(torch.finfo(size.dtype).max) - 8
    power = power.clamp(-limit, limit)
    return (size + torch.pow(10.0, -power)).log() + power * math.log(10)


def magnitude_deviation(error: Tensor, written: Tensor, target: Tensor, unit: Tensor) -> Tensor:
    """L_mag = log((max(X,Y)+1) / (min(X,Y)+1)); written is X, the others are as for `relative_deviation`.

    |log1p((X−Y)/(Y+1))| is exact for small errors, the difference of the logarithms for X far below Y.
    """
    change = error / (target + unit)
    far = (written + unit).log() - (target + unit).log()
    return torch.where(change > -0.5, torch.log1p(change.clamp(min=-0.5)), far).abs()
