"""The fused path against the plain one: the same value and gradient, one backward, one buffer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.cases import PLAIN, VOCABULARIES, encode, label_rows, random_logits

import ntil.losses.fused as fused_module
from ntil.losses import EMD, NTIL, WithCrossEntropy
from ntil.numbers import NumberVocab


def both(texts, number=NTIL, **options):
    vocab = NumberVocab.from_texts(texts)
    loss = number(vocab, **({"noise_scale": 0.0} if number is NTIL else {}))
    return [WithCrossEntropy(loss, fused=fused, **options) for fused in (True, False)]


def value_and_gradient(full, logits, labels, factor=1.0):
    logits = logits.detach().clone().requires_grad_()
    parts = full.parts(logits, labels)
    (parts.total * factor).backward()
    return {"total": parts.total.detach(), **{k: v.detach() for k, v in parts.terms.items()}}, logits.grad


@pytest.mark.parametrize("name", VOCABULARIES)
@pytest.mark.parametrize("balance", ["ce_ratio", "none"])
@settings(max_examples=25)
@given(data=st.data())
def test_equals_the_plain_path(name, balance, data):
    texts = VOCABULARIES[name]
    labels = data.draw(label_rows(texts))
    logits = random_logits((*labels.shape, len(texts)), data.draw(st.integers(0, 10**6)), torch.float32)
    ce_on_digits, factor = data.draw(st.booleans()), data.draw(st.sampled_from([1.0, 0.25, -3.0]))
    number = data.draw(st.sampled_from([NTIL, EMD]))
    fused, plain = both(texts, number, balance=balance, ce_on_digits=ce_on_digits)
    ours, theirs = (value_and_gradient(full, logits, labels, factor) for full in (fused, plain))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block", [1, 7, 2**20])
def test_the_block_size_changes_nothing(block, monkeypatch):
    monkeypatch.setattr(fused_module, "BLOCK", block)
    fused, plain = both(PLAIN)
    labels = encode(PLAIN, ["1", "2", "the", None, "9"]).repeat(3, 1)
    logits = random_logits((3, 5, len(PLAIN)), 0, torch.float32)
    torch.testing.assert_close(
        value_and_gradient(fused, logits, labels), value_and_gradient(plain, logits, labels)
    )


def test_bfloat16_rounds_only_the_gradient():
    fused, plain = both(PLAIN)
    labels = encode(PLAIN, "12.7,3")
    logits = random_logits((1, 6, len(PLAIN)), 0).to(torch.bfloat16)
    (ours, change), (theirs, expected) = (value_and_gradient(full, logits, labels) for full in (fused, plain))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert change.dtype == torch.bfloat16
    torch.testing.assert_close(change, expected, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("layout", ["transposed", "sliced"])
def test_logits_need_not_be_contiguous(layout):
    fused, plain = both(PLAIN)
    labels = encode(PLAIN, ["1", "2", "the"]).repeat(4, 1)
    if layout == "transposed":
        logits = random_logits((3, 4, len(PLAIN)), 0, torch.float32).detach().transpose(0, 1)
    else:
        logits = random_logits((4, 5, len(PLAIN) + 3), 0, torch.float32).detach()[:, 1:4, : len(PLAIN)]
    results = []
    for full in (fused, plain):
        leaf = logits.detach().requires_grad_()
        full(leaf, labels).backward()
        results.append(leaf.grad)
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("padding", [0, 5000], ids=["small", "many blocks"])
def test_overwriting_gives_the_same_gradient_in_the_logits_own_memory(padding, monkeypatch):
    monkeypatch.setattr(fused_module, "BLOCK", 2**13)
    labels = encode(PLAIN, ["1", "2", "the"]).repeat(5, 1)
    base = random_logits((5, 3, len(PLAIN) + padding), 0, torch.float32).detach()
    fused, plain = both(PLAIN)
    _, expected = value_and_gradient(plain, base, labels)
    fused.overwrite_logits = True
    leaf = base.clone().requires_grad_()
    logits = leaf * 1  # as a model's output: not a leaf
    fused(logits, labels).backward()
    torch.testing.assert_close(leaf.grad, expected)
    assert leaf.grad.data_ptr() == logits.data_ptr() or torch.equal(logits.detach(), leaf.grad)


def test_a_second_backward_is_refused():
    fused, _ = both(PLAIN)
    total = fused(random_logits((1, 2, len(PLAIN)), 0, torch.float32), encode(PLAIN, "12"))
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="fused=False"):
        total.backward()


def test_without_a_gradient_no_buffer_is_made():
    fused, plain = both(PLAIN)
    labels, logits = encode(PLAIN, "12"), random_logits((1, 2, len(PLAIN)), 0, torch.float32)
    with torch.no_grad():
        assert fused(logits, labels).item() == pytest.approx(plain(logits, labels).item())
    assert not fused(logits.detach(), labels).requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_dtypes_take_the_plain_path(dtype):
    fused, plain = both(PLAIN)
    labels = encode(PLAIN, "12")
    logits = random_logits((1, 2, len(PLAIN)), 0).detach().to(dtype)
    torch.testing.assert_close(
        value_and_gradient(fused, logits, labels), value_and_gradient(plain, logits, labels), rtol=0, atol=0
    )
