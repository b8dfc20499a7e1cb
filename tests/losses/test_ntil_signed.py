"""NTIL whose magnitude sees signs and exponents: by hand, and against the loops."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles import ntil_loops
from oracles.cases import MARKED, certain, cut, encode, gradient, random_logits
from oracles.ntil_twin import FORMATS, assert_equals_twin

from ntil.losses import NTIL
from ntil.numbers import NumberVocab


def signed_parts(target, written):
    vocab = NumberVocab.from_texts(MARKED)
    loss = NTIL(vocab, noise_scale=0.0, number_format="decimal", magnitude="signed")
    return loss(certain(MARKED, written), encode(MARKED, target))


@pytest.mark.parametrize(
    ("target", "written", "expected"),
    [
        ("5", "5", 0.0),
        ("-5", "-5", 0.0),
        ("-5", "+5", 2 * math.log(6)),
        ("+5", "-7", math.log(6) + math.log(8)),
        ("-5", "-7", math.log(8) - math.log(6)),
        (
            "5",
            "-",
            math.log(6) + math.log(1),
        ),  # a minus where the digit should be: its digit is the likeliest one, 0
        ("6.0e23", "6.0e23", 0.0),
        ("6.0e23", "6.0e21", math.log(100)),
        ("6.0e23", "8.0e23", math.log(8 / 6)),
        ("1e-9", "1e+9", math.log(1e9)),
        (["1", "e-", "9"], ["1", "e+", "9"], math.log(1e9)),
        ("2e999", "2e998", 0.0),  # beyond 300 places all are alike
        ("-2.5e3", "-2.5e3", 0.0),
    ],
)
def test_signed_magnitude_by_hand(target, written, expected):
    parts = signed_parts(target, [*written, *["<pad>"] * (len(target) - len(written))])
    assert parts.magnitude.item() == pytest.approx(expected, abs=1e-6)


def test_without_marks_the_signed_magnitude_is_the_published_one():
    labels = encode(MARKED, ["42", ".", "7", " 5", "the", "9", "8"])
    logits = random_logits((1, labels.shape[1], len(MARKED)), seed=3)
    with torch.no_grad():
        logits[
            ..., [i for i, t in enumerate(MARKED) if t.strip(" (").lower() in ("-", "+", "e", "e-", "e+")]
        ] = -1e9
    vocab = NumberVocab.from_texts(MARKED)
    plain, signed = (
        NTIL(vocab, noise_scale=0.0, number_format="decimal", magnitude=m)(logits, labels)
        for m in ("plain", "signed")
    )
    torch.testing.assert_close(signed.magnitude, plain.magnitude)
    torch.testing.assert_close(gradient(signed.magnitude, logits), gradient(plain.magnitude, logits))


@pytest.mark.parametrize("construction", ["straight_through", "soft"])
@pytest.mark.parametrize("number_format", FORMATS)
@settings(max_examples=40)
@given(data=st.data())
def test_signed_magnitude_equals_the_loops(number_format, construction, data):
    """Labels rich in signs and exponents; of two digits, where the loop's plain powers are exact enough."""
    pieces = ["1", "7", "42", "3", " 5", "-", "+", "e", "E", "e-", " -", "(-", ".", "the", ")", None]
    rows = data.draw(
        st.lists(st.lists(st.sampled_from(pieces), min_size=6, max_size=6), min_size=1, max_size=3)
    )
    labels = torch.cat([encode(MARKED, row) for row in rows])
    labels = torch.tensor([cut(MARKED, row, 2) for row in labels.tolist()])
    logits = random_logits((*labels.shape, len(MARKED)), data.draw(st.integers(0, 10**6)))
    options = {"number_format": number_format, "magnitude": "signed", "construction": construction}
    wide = logits.detach().double().requires_grad_()
    steepest = gradient(ntil_loops.ntil(MARKED, wide, labels, **options).total, wide).abs().max()
    assume(steepest < 1e28)  # 0e99 has a slope of 10⁹⁹ by its mantissa, which the loss clamps at 10³⁰
    loss = NTIL(NumberVocab.from_texts(MARKED), noise_scale=0.0, **options)
    assert_equals_twin(MARKED, loss, logits, labels, 1e-7, 1e-7, **options)


def test_a_steep_exponent_has_a_finite_gradient():
    """42e11 read as 0e99: log(1 + m·10⁹⁹) has the slope 10⁹⁹ at m = 0."""
    labels = encode(MARKED, ["42", "e", "1", "1"])
    vocab = NumberVocab.from_texts(MARKED)
    for seed in range(20):
        logits = random_logits((*labels.shape, len(MARKED)), seed)
        parts = NTIL(vocab, noise_scale=0.0, magnitude="signed")(logits, labels)
        slope = gradient(parts.total, logits)
        assert slope.isfinite().all()
        assert slope.any()


def test_signed_magnitude_learns_the_sign():
    """A wrong sign has a gradient that makes the right one likelier; the published term has none."""
    labels = encode(MARKED, "-5")
    written = certain(MARKED, "+5", sure=1.0).requires_grad_()
    vocab = NumberVocab.from_texts(MARKED)
    minus, plus = MARKED.index("-"), MARKED.index("+")
    for magnitude, moves in (("plain", False), ("signed", True)):
        loss = NTIL(vocab, noise_scale=0.0, magnitude=magnitude)
        slope = gradient(loss(written, labels).magnitude, written)[0, 0]
        assert (slope[minus] < 0 < slope[plus]) == moves


def test_signed_magnitude_needs_a_minus():
    with pytest.raises(ValueError, match="minus"):
        NTIL(NumberVocab.from_texts([*"0123456789"]), magnitude="signed")
    with pytest.raises(ValueError, match="'plain' or 'signed', not 'logs'"):
        NTIL(NumberVocab.from_texts(MARKED), magnitude="logs")
