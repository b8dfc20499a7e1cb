"""Vocabularies, label sequences and logits that several tests use."""

from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor

OTHER = [".", " ", ",", "-", "e", "the", "7th", "٣"]
PLAIN = ["<pad>", *"0123456789", *OTHER]  # one character, one token: the published setting
SHUFFLED = [*"305", *OTHER, *"9718264", "<pad>"]  # digits out of order, 3 at id 0
SPACED = ["<pad>", *"0123456789", *[f" {d}" for d in range(10)], *OTHER]
WIDE = [
    *PLAIN,
    "42",
    "07",
    "10",
    "98",
    "99",
    "00",
    "123",
    "007",
    "640",
    " 5",
    " 42",
]  # only some 2- and 3-digit strings
LOCS = [*PLAIN, *[f"<loc{k:02d}>" for k in range(16)]]
MARKED = [*WIDE, "+", "E", "e-", "e+", " -", " +", "(-", ")", "(", "="]  # signs and exponents
VOCABULARIES = {"plain": PLAIN, "shuffled": SHUFFLED, "spaced": SPACED, "wide": WIDE, "locs": LOCS}


def encode(texts: Sequence[str], pieces: str | Sequence[str | None]) -> Tensor:
    """[1, T] ids of one-token pieces ("0.98", or a list); None is a masked label."""
    return torch.tensor(
        [[-100 if piece is None else texts.index(piece) for piece in pieces]], dtype=torch.int64
    )


def certain(texts: Sequence[str], pieces: str | Sequence[str | None], sure: float = 200.0) -> Tensor:
    """[1, T, V] float64 logits of a model that is sure to write these pieces."""
    ids = encode(texts, pieces).clamp(min=0)
    return torch.nn.functional.one_hot(ids, len(texts)).double() * sure


def random_logits(
    shape: Sequence[int], seed: int, dtype: torch.dtype = torch.float64, spread: float = 2.0
) -> Tensor:
    """Normal logits that require a gradient."""
    noise = torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (noise * spread).to(dtype).requires_grad_()


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    """∂loss/∂logits, or zeros where they are not connected; leaves .grad alone."""
    (found,) = torch.autograd.grad(loss, logits, allow_unused=True, retain_graph=True)
    return torch.zeros_like(logits) if found is None else found


@st.composite
def label_rows(
    draw: st.DrawFn, texts: Sequence[str], rows: int = 3, length: int = 8, longest: int | None = None
) -> Tensor:
    """[1…rows, 0…length] labels, rich in numbers and points, with masked ones; numbers of at most `longest` digits."""
    T, B = draw(st.integers(0, length)), draw(st.integers(1, rows))
    number = st.sampled_from([i for i, text in enumerate(texts) if any(c in "0123456789" for c in text)])
    token = st.one_of(
        number, number, number, st.just(texts.index(".")), st.integers(0, len(texts) - 1), st.just(-100)
    )
    grid = draw(st.lists(st.lists(token, min_size=T, max_size=T), min_size=B, max_size=B))
    if longest is not None:
        grid = [cut(texts, row, longest) for row in grid]
    return torch.tensor(grid, dtype=torch.int64).reshape(B, T)


def cut(texts: Sequence[str], row: list[int], longest: int) -> list[int]:
    """Mask labels so that no chain of digits and points grows beyond `longest` digits."""
    digits, cut = 0, []
    for label in row:
        text = texts[label].strip() if label >= 0 else ""
        digits = digits + len(text) if text.isdecimal() else digits if text == "." else 0
        if digits > longest:
            label, digits = -100, 0
        cut.append(label)
    return cut
