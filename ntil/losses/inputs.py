"""What a loss is given, checked before anything is computed; nothing is read back from the device."""

import torch
from torch import Tensor

REDUCTIONS = ("mean", "sum", "none")


def checked_labels(scores: Tensor, labels: Tensor, name: str = "logits", last: str = "V") -> Tensor:
    """`labels` [B, T] as int64, where they fit `scores` [B, T, V] (or hidden states [B, T, H]); ValueError otherwise."""
    if scores.ndim != 3 or labels.shape != scores.shape[:2]:
        raise ValueError(
            f"expected {name} [B, T, {last}] and labels [B, T]; got {list(scores.shape)} and {list(labels.shape)}. "
            "A flat batch needs its rows back: numbers must not run from one sample into the next."
        )
    if not scores.is_floating_point():
        raise ValueError(f"{name} must be floating point, not {scores.dtype}.")
    return signed_labels(labels)


def signed_labels(labels: Tensor) -> Tensor:
    """`labels` as int64; ValueError for types that cannot hold −100."""
    if labels.is_floating_point() or labels.is_complex() or not labels.dtype.is_signed:
        raise ValueError(
            f"labels must be signed integers such as torch.int64, not {labels.dtype}: −100 marks what is ignored."
        )
    return labels.long()


def checked_label_weights(label_weights: Tensor | None, labels: Tensor, scores: Tensor) -> Tensor | None:
    """`label_weights` [B, T] in float32 (float64 for such logits), 0 where a label is masked, whatever they held there;
    ValueError where they don't fit."""
    if label_weights is None:
        return None
    if label_weights.shape != labels.shape:
        raise ValueError(
            f"expected label_weights [B, T] like the labels {list(labels.shape)}, got {list(label_weights.shape)}."
        )
    wide = label_weights.to(torch.float64 if scores.dtype == torch.float64 else torch.float32)
    return torch.where(labels >= 0, wide, 0.0)


def check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, not {reduction!r}.")
