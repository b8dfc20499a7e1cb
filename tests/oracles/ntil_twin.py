"""NTIL beside its loops: the comparison that the tests of NTIL share."""

import torch

from oracles import ntil_loops
from oracles.cases import gradient

FORMATS = ["digits", "decimal"]
TERMS = ["total", "emd", "relative", "magnitude"]


def assert_near(actual, expected, rtol, computed=torch.float64):
    """Within rtol of the largest entry, and of the terms of size 1/τ = 10 that cancel out in a sure softmax."""
    size = expected.detach().abs().max().item() if expected.numel() else 0.0
    atol = rtol * size + 100 * torch.finfo(computed).eps
    torch.testing.assert_close(actual.double(), expected.double(), rtol=rtol, atol=atol)


def assert_equals_twin(texts, loss, logits, labels, value_rtol, gradient_rtol, **options):
    """All terms and the gradient of each, against the loops on the same (rounded) logits in float64."""
    wide = logits.detach().double().requires_grad_()
    parts, twin = loss(logits, labels), ntil_loops.ntil(texts, wide, labels, **options)
    assert (int(parts.digits), int(parts.numbers)) == (twin.digits, twin.numbers)
    computed = parts.total.dtype
    for name in TERMS:
        ours, theirs = getattr(parts, name), getattr(twin, name)
        assert_near(ours, theirs, value_rtol, computed)
        assert_near(gradient(ours, logits), gradient(theirs, wide), gradient_rtol, computed)
