"""The loss from hidden states against the loss from their logits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.cases import PLAIN, VOCABULARIES, encode, label_rows

import ntil.losses.fused_linear as fused_linear_module
from ntil.losses import NTIL, GaussianCE, WithCrossEntropy
from ntil.numbers import NumberVocab

H = 6


def inputs(labels, texts, seed, with_bias=True):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(*labels.shape, H), (len(texts), H), (len(texts),)]
    return [torch.randn(shape, generator=generator) for shape in (shapes if with_bias else shapes[:2])]


def value_and_gradients(loss, tensors, labels):
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    total = loss(*leaves, labels)
    total.backward()
    return total.detach(), [leaf.grad for leaf in leaves]


def both_ways(full, with_bias):
    """(hidden, weight[, bias], labels) → loss, through full logits and without them."""

    def by_logits(hidden, weight, *rest):
        *bias, labels = rest
        return full(torch.nn.functional.linear(hidden, weight, *bias), labels)

    def from_hidden(hidden, weight, *rest):
        *bias, labels = rest
        return full.from_hidden(hidden, weight, labels, head_bias=bias[0] if bias else None)

    return by_logits, from_hidden


def ntil(texts, **options):
    return WithCrossEntropy(NTIL(NumberVocab.from_texts(texts), noise_scale=0.0), **options)


@pytest.mark.parametrize("name", VOCABULARIES)
@settings(max_examples=20)
@given(data=st.data())
def test_equals_the_loss_from_logits(name, data):
    texts = VOCABULARIES[name]
    labels = data.draw(label_rows(texts))
    full = ntil(
        texts,
        balance=data.draw(st.sampled_from(["ce_ratio", "none", "digit_share"])),
        ce_on_digits=data.draw(st.booleans()),
    )
    with_bias = data.draw(st.booleans())
    tensors = inputs(labels, texts, data.draw(st.integers(0, 10**6)), with_bias)
    theirs, ours = (value_and_gradients(loss, tensors, labels) for loss in both_ways(full, with_bias))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_the_chunk_size_changes_nothing(rows, monkeypatch):
    monkeypatch.setattr(fused_linear_module, "ROWS", rows)
    monkeypatch.setattr(fused_linear_module, "BLOCK", 0)
    full, labels = ntil(PLAIN), encode(PLAIN, ["1", "2", "the", None, "9"]).repeat(2, 1)
    tensors = inputs(labels, PLAIN, 0)
    theirs, ours = (value_and_gradients(loss, tensors, labels) for loss in both_ways(full, True))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_parts_are_those_of_the_loss_from_logits():
    full, labels = ntil(PLAIN), encode(PLAIN, "12.7,3")
    hidden, weight = inputs(labels, PLAIN, 0, with_bias=False)
    ours, theirs = full.parts_from_hidden(hidden, weight, labels), full.parts(hidden @ weight.T, labels)
    assert ours.terms.keys() == theirs.terms.keys()
    for name, value in theirs.terms.items():
        torch.testing.assert_close(ours.terms[name], value)


def test_bfloat16_is_close_to_float32():
    full, labels = ntil(PLAIN), encode(PLAIN, "12.7,3").repeat(4, 1)
    tensors = inputs(labels, PLAIN, 0, with_bias=False)
    half = [tensor.bfloat16() for tensor in tensors]
    _, ours = both_ways(full, False)
    total, gradients = value_and_gradients(ours, half, labels)
    expected, exact = value_and_gradients(ours, [tensor.float() for tensor in half], labels)
    torch.testing.assert_close(total, expected, rtol=0.02, atol=0.02)
    for gradient, reference in zip(gradients, exact, strict=True):
        assert gradient.dtype == torch.bfloat16
        torch.testing.assert_close(gradient.float(), reference, rtol=0.1, atol=0.02)


def test_a_frozen_weight_gets_no_gradient():
    full, labels = ntil(PLAIN), encode(PLAIN, "12")
    hidden, weight = inputs(labels, PLAIN, 0, with_bias=False)
    hidden.requires_grad_()
    full.from_hidden(hidden, weight, labels).backward()
    assert hidden.grad.any()
    assert weight.grad is None


def test_what_it_cannot_do_it_refuses():
    labels = encode(PLAIN, "12")
    hidden, weight = inputs(labels, PLAIN, 0, with_bias=False)
    with pytest.raises(ValueError, match="float64"):
        ntil(PLAIN).from_hidden(hidden.double(), weight.double(), labels)
    full = WithCrossEntropy(GaussianCE(NumberVocab.from_texts(PLAIN)))
    with pytest.raises(ValueError, match="whole vocabulary"):
        full.from_hidden(hidden, weight, labels)
