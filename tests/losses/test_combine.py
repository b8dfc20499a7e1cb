"""WithCrossEntropy: CE + λ·loss against the loops, and what the balance means."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ntil_loops
from oracles.cases import PLAIN, WIDE, certain, encode, gradient, label_rows, random_logits

from ntil.losses import EMD, NTIL, CrossEntropy, WithCrossEntropy, build_loss
from ntil.numbers import NumberVocab

VOCAB = NumberVocab.from_texts(PLAIN)
V = len(PLAIN)
BALANCES = ["ce_ratio", "none"]


def full_loss(number_format="digits", **options):
    return WithCrossEntropy(NTIL(VOCAB, noise_scale=0.0, number_format=number_format), **options)


@pytest.mark.parametrize("ce_on_digits", [True, False], ids=["ce on digits", "no ce on digits"])
@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize("number_format", ["digits", "decimal"])
@settings(max_examples=15)
@given(data=st.data())
def test_equals_the_loops(balance, ce_on_digits, number_format, data):
    labels = data.draw(label_rows(PLAIN, rows=3, length=8, longest=3))
    logits = random_logits((*labels.shape, V), data.draw(st.integers(0, 10**6)))
    options = {"weight": 0.4, "balance": balance, "ce_on_digits": ce_on_digits}
    parts = full_loss(number_format, **options).parts(logits, labels)
    total, ce, number = ntil_loops.with_cross_entropy(
        PLAIN, logits, labels, number_format=number_format, **options
    )
    torch.testing.assert_close(
        [parts.total, parts.ce, parts.number], [total, ce, number], rtol=1e-9, atol=1e-10
    )
    torch.testing.assert_close(gradient(parts.total, logits), gradient(total, logits), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_half_precision_logits_are_computed_in_float32(dtype):
    labels = encode(PLAIN, "12.7,3")
    logits = random_logits((1, 6, V), 0).to(dtype)
    parts = full_loss().parts(logits, labels)
    total, ce, _ = ntil_loops.with_cross_entropy(PLAIN, logits.double(), labels)
    assert parts.total.dtype == parts.ce.dtype == torch.float32
    torch.testing.assert_close([parts.total, parts.ce], [total.float(), ce.float()], rtol=1e-5, atol=1e-6)


def test_ce_ratio_scales_the_number_loss_to_cross_entropy_without_a_gradient():
    labels, logits = encode(PLAIN, "12.7,3"), random_logits((1, 6, V), 0)
    parts = full_loss(weight=0.3).parts(logits, labels)
    torch.testing.assert_close(parts.total, 1.3 * parts.ce)  # in value; in gradient the ratio is a constant:
    ratio = (parts.ce / parts.number).detach()
    expected = gradient(parts.ce, logits) + 0.3 * ratio * gradient(parts.number, logits)
    torch.testing.assert_close(gradient(parts.total, logits), expected)


def test_balance_none_adds_the_weighted_loss():
    labels, logits = encode(PLAIN, "12.7,3"), random_logits((1, 6, V), 0)
    parts = full_loss(weight=0.3, balance="none").parts(logits, labels)
    torch.testing.assert_close(parts.total, parts.ce + 0.3 * parts.number)
    assert {"ce", "number", "emd", "relative", "magnitude"} == set(parts.terms)
    torch.testing.assert_close(parts.number, parts.emd + 0.2 * parts.relative + 0.2 * parts.magnitude)


def test_ce_on_digits_off_leaves_points_and_words_with_cross_entropy():
    labels, logits = encode(PLAIN, ["1", ".", "5", "the"]), random_logits((1, 4, V), 0)
    for number_format in ("digits", "decimal"):
        parts = full_loss(number_format, ce_on_digits=False).parts(logits, labels)
        touched = gradient(parts.ce, logits).any(-1)
        assert touched.tolist() == [[False, True, False, True]]
        assert gradient(parts.number, logits).any(-1).tolist() == [[True, False, True, False]]


@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize("ce_on_digits", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize(
    "labels",
    [
        torch.full((2, 3), -100),
        torch.zeros(2, 0, dtype=torch.int64),
        encode(PLAIN, ["the", ".", ","]),
        encode(PLAIN, ["1", "2", "3"]),
    ],
    ids=["all masked", "no positions", "no digits", "digits only"],
)
def test_finite_and_connected_whatever_the_batch(balance, ce_on_digits, dtype, labels):
    logits = random_logits((*labels.shape, V), 0).detach().to(dtype).requires_grad_()
    total = full_loss(balance=balance, ce_on_digits=ce_on_digits)(logits, labels)
    assert total.requires_grad
    assert total.isfinite()
    change = gradient(total, logits)
    assert change.isfinite().all()
    if not (labels >= 0).any():
        assert total == 0
        assert not change.any()


def test_no_digits_is_plain_cross_entropy():
    labels, logits = encode(PLAIN, ["the", ".", ","]), random_logits((1, 3, V), 0)
    total, ce = full_loss()(logits, labels), CrossEntropy()(logits, labels)
    torch.testing.assert_close(total, ce)
    torch.testing.assert_close(gradient(total, logits), gradient(ce, logits))


def test_a_perfect_prediction_stays_finite():
    logits = certain(PLAIN, "12.7", sure=1000.0).requires_grad_()
    total = full_loss()(logits, encode(PLAIN, "12.7"))
    assert total.item() == pytest.approx(0.0)
    assert gradient(total, logits).isfinite().all()


def test_any_negative_label_is_masked():
    logits = random_logits((1, 4, V), 0)
    masks = [torch.tensor([[3, mask, 5, 11]]) for mask in (-100, -1, -200)]
    first, *others = [full_loss()(logits, labels) for labels in masks]
    torch.testing.assert_close(others, [first, first])


def test_plain_cross_entropy_equals_torch():
    labels, logits = torch.tensor([[3, -100, 5], [0, 1, -100]]), random_logits((2, 3, V), 0)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(CrossEntropy()(logits, labels), expected)


@pytest.mark.parametrize(
    "options", [{"balance": "ratio"}, {"weight": -1.0}, {"weight": float("nan")}], ids=str
)
def test_options_out_of_range_are_an_error(options):
    with pytest.raises(ValueError, match="|".join(options)):
        full_loss(**options)


def test_build_loss():
    assert isinstance(build_loss(VOCAB), CrossEntropy)
    built = build_loss(NumberVocab.from_texts(WIDE), EMD, weight=0.5, balance="none", ce_on_digits=False)
    assert isinstance(built.loss, EMD)
    assert (built.weight, built.balance, built.ce_on_digits) == (0.5, "none", False)
    assert (build_loss(VOCAB, EMD).weight, build_loss(VOCAB, EMD).balance) == (0.3, "ce_ratio")
