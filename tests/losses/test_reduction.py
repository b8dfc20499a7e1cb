"""Sums, single positions and label weights, for every loss that ntil.losses exports."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles.cases import PLAIN, VOCABULARIES, WIDE, encode, gradient, label_rows, random_logits
from test_contract import exported_losses

from ntil.losses import EMD, NTIL, CrossEntropy, GaussianCE, WithCrossEntropy
from ntil.numbers import NumberVocab

V = len(PLAIN)
LABELS = encode(PLAIN, [*"0.98, 12-7 345 6", None]).reshape(1, -1)


@pytest.fixture(params=exported_losses())
def loss(request):
    return request.param()


def grids(rows: int = 3, length: int = 8):
    return label_rows(PLAIN, rows=rows, length=length, longest=8)


@pytest.mark.parametrize("make", exported_losses())
@settings(max_examples=15)
@given(data=st.data())
def test_none_sums_up_to_sum(make, data):
    loss, labels = make(), data.draw(grids())
    logits = random_logits((*labels.shape, V), data.draw(st.integers(0, 10**6)))
    weights = data.draw(st.sampled_from([None, torch.rand(labels.shape, dtype=torch.float64)]))
    each, summed = (
        loss(logits, labels, label_weights=weights, reduction=reduction) for reduction in ("none", "sum")
    )
    assert each.total.shape == labels.shape
    assert (each.total[labels < 0] == 0).all()
    torch.testing.assert_close(each.total.sum(), summed.total)
    torch.testing.assert_close(gradient(each.total.sum(), logits), gradient(summed.total, logits))
    for name, term in summed.terms.items():
        torch.testing.assert_close(each.terms[name].sum(), term)


@pytest.mark.parametrize("make", exported_losses())
@settings(max_examples=15)
@given(data=st.data())
def test_equal_weights_change_nothing(make, data):
    loss, labels = make(), data.draw(grids())
    logits = random_logits((*labels.shape, V), data.draw(st.integers(0, 10**6)))
    plain = loss(logits, labels)
    for factor in (1.0, 2.5):
        weighted = loss(logits, labels, label_weights=torch.full(labels.shape, factor, dtype=torch.float64))
        torch.testing.assert_close(weighted.total, plain.total)
        torch.testing.assert_close(gradient(weighted.total, logits), gradient(plain.total, logits))


def partition(spans, kept):
    """[B, T, T] which of the kept positions belong to one number."""
    number = spans.number.masked_fill(~kept, -1)
    return number.unsqueeze(-1) == number.unsqueeze(-2)


@pytest.mark.parametrize("make", exported_losses())
@settings(max_examples=25)
@given(data=st.data())
def test_a_number_of_weight_0_is_a_masked_number(make, data):
    """Whole numbers are switched off, with the points and words around them kept."""
    loss, labels = make(), data.draw(grids())
    logits = random_logits((*labels.shape, V), data.draw(st.integers(0, 10**6)))
    spans = loss.spans(labels)
    off = data.draw(st.sets(st.integers(0, 3)))
    drop = spans.is_number & torch.isin(spans.number, torch.tensor(sorted(off), dtype=torch.int64))
    weights, kept = 1.0 - drop.double(), spans.is_number & ~drop
    without = loss.spans(labels.masked_fill(drop, -100))
    assume(
        torch.equal(partition(spans, kept), partition(without, kept))
    )  # 1.1.1 is no decimal, what is left of it may be
    weighted, masked = (
        loss(logits, labels, label_weights=weights),
        loss(logits, labels.masked_fill(drop, -100)),
    )
    torch.testing.assert_close(weighted.total, masked.total)
    torch.testing.assert_close(gradient(weighted.total, logits), gradient(masked.total, logits))


def test_a_weight_of_two_counts_a_sample_item_twice():
    """NTIL's means run within a sample: 3·(first number) + 1·(second) over 4, by hand from their own losses."""
    loss = NTIL(NumberVocab.from_texts(PLAIN), noise_scale=0.0)
    labels = encode(PLAIN, "12 7")
    logits = random_logits((1, 4, V), 3)
    first, second = (
        loss(logits, labels.masked_fill(mask, -100))
        for mask in (torch.tensor([[False, False, True, True]]), torch.tensor([[True, True, True, False]]))
    )
    both = loss(logits, labels, label_weights=torch.tensor([[3.0, 3.0, 9.0, 1.0]], dtype=torch.float64))
    torch.testing.assert_close(both.emd, (first.emd * 2 * 3 + second.emd) / (2 * 3 + 1))
    torch.testing.assert_close(both.relative, (first.relative * 3 + second.relative) / 4)


def test_a_number_has_the_weight_of_its_first_token():
    loss = NTIL(NumberVocab.from_texts(WIDE), gamma=0.0, noise_scale=0.0)
    labels, logits = encode(WIDE, ["42", "5", "the", "9"]), random_logits((1, 4, len(WIDE)), 5)
    expected = loss(logits, labels, label_weights=torch.tensor([[2.0, 2.0, 0.0, 1.0]]))
    found = loss(logits, labels, label_weights=torch.tensor([[2.0, 0.5, 7.0, 1.0]]))
    torch.testing.assert_close(found.total, expected.total)
    each = loss(logits, labels, reduction="none").total
    assert each[0, 1] == each[0, 2] == 0
    assert each[0, 0] != 0


@pytest.mark.parametrize("balance", ["ce_ratio", "none", "digit_share"])
@pytest.mark.parametrize("ce_on_digits", [True, False])
@settings(max_examples=15)
@given(data=st.data())
def test_fused_and_plain_agree_on_weights(balance, ce_on_digits, data):
    name = data.draw(st.sampled_from(sorted(VOCABULARIES)))
    texts = VOCABULARIES[name]
    labels = data.draw(label_rows(texts))
    logits = random_logits((*labels.shape, len(texts)), data.draw(st.integers(0, 10**6)), torch.float32)
    weights = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1))
    results = []
    for fused in (True, False):
        full = WithCrossEntropy(
            EMD(NumberVocab.from_texts(texts)), balance=balance, ce_on_digits=ce_on_digits, fused=fused
        )
        leaf = logits.detach().clone().requires_grad_()
        parts = full.parts(leaf, labels, label_weights=weights)
        parts.total.backward()
        results.append(
            ({"total": parts.total.detach(), **{k: v.detach() for k, v in parts.terms.items()}}, leaf.grad)
        )
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_from_hidden_takes_weights():
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(shape, generator=generator) for shape in ((1, LABELS.shape[1], 6), (V, 6)))
    weights = torch.rand(LABELS.shape, generator=generator)
    full = WithCrossEntropy(NTIL(NumberVocab.from_texts(PLAIN), noise_scale=0.0))
    leaves = [[t.clone().requires_grad_() for t in (hidden, weight)] for _ in range(2)]
    full.from_hidden(*leaves[0], LABELS, label_weights=weights).backward()
    full(torch.nn.functional.linear(*leaves[1]), LABELS, label_weights=weights).backward()
    for ours, theirs in zip(*leaves, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_cross_entropy_weights_by_hand():
    logits = random_logits((2, 3, V), 1)
    labels, weights = (
        torch.tensor([[1, 2, -100], [3, -100, 4]]),
        torch.tensor([[1.0, 2.0, 9.0], [0.0, 9.0, 3.0]]),
    )
    nll = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(
        2, 3
    )
    full = WithCrossEntropy(EMD(NumberVocab.from_texts(PLAIN)), weight=0.0, balance="none")
    for made in (CrossEntropy(), full):
        torch.testing.assert_close(made(logits, labels, label_weights=weights), (nll * weights).sum() / 6)
        torch.testing.assert_close(
            made(logits, labels, label_weights=weights, reduction="none"), nll * weights
        )
        torch.testing.assert_close(made(logits, labels, reduction="sum"), nll.sum())
        torch.testing.assert_close(made(logits, labels), nll.sum() / 4)


def test_with_cross_entropy_position_by_position():
    number = EMD(NumberVocab.from_texts(PLAIN))
    full = WithCrossEntropy(number, weight=0.3, balance="none")
    logits = random_logits((1, LABELS.shape[1], V), 2)
    each = full.parts(logits, LABELS, reduction="none")
    expected = (
        CrossEntropy()(logits, LABELS, reduction="none")
        + 0.3 * number(logits, LABELS, reduction="none").total
    )
    torch.testing.assert_close(each.total, expected)
    torch.testing.assert_close(full(logits, LABELS, reduction="sum"), expected.sum())


def test_weights_of_zero_leave_a_connected_zero(loss):
    logits = random_logits((*LABELS.shape, V), 4, torch.float32)
    total = loss(logits, LABELS, label_weights=torch.zeros(LABELS.shape)).total
    assert total == 0
    assert (gradient(total, logits) == 0).all()


def test_mistakes_are_explained(loss):
    logits = random_logits((*LABELS.shape, V), 4)
    with pytest.raises(ValueError, match="reduction must be one of mean, sum, none, not 'avg'"):
        loss(logits, LABELS, reduction="avg")
    with pytest.raises(ValueError, match=r"expected label_weights \[B, T\] like the labels"):
        loss(logits, LABELS, label_weights=torch.ones(3))
    with pytest.raises(ValueError, match="needs balance='none'; 'ce_ratio' balances the means"):
        WithCrossEntropy(loss)(logits, LABELS, reduction="sum")
    with pytest.raises(ValueError, match="expected label_weights"):
        WithCrossEntropy(loss)(logits, LABELS, label_weights=torch.ones(3))


def test_losses_that_need_the_whole_vocabulary_take_weights_too():
    logits, weights = random_logits((*LABELS.shape, V), 6), torch.rand(LABELS.shape)
    full = WithCrossEntropy(GaussianCE(NumberVocab.from_texts(PLAIN)), balance="none", weight=1.0)
    parts = full.parts(logits, LABELS, label_weights=weights)
    torch.testing.assert_close(parts.total, parts.ce + parts.number)
