"""NTIL on aligned decimals: equal to the loops, right in its ranking, and a say for every digit of numbers of every size."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles.cases import (
    PLAIN,
    VOCABULARIES,
    certain,
    encode,
    gradient,
    label_rows,
    random_logits,
)
from oracles.ntil_twin import assert_near
from oracles.whole_loops import ntil_aligned

from ntil.losses import NTIL, NTILAligned
from ntil.numbers import NumberVocab

VOCAB = NumberVocab.from_texts(PLAIN)
FIRST = PLAIN.index("0")
TOLERANCE = {
    torch.float64: (1e-9, 1e-9),
    torch.float32: (2e-5, 1e-4),
    torch.bfloat16: (2e-5, 1e-2),
    torch.float16: (2e-5, 2e-3),
}
SIZES = ["3", "0.98", "0.004", "42.5", "00326", "18823", "7.25", "906154"]


def aligned(**options):
    return NTILAligned(VOCAB, noise_scale=0.0, **options)


def cost(target, written, **options):
    return aligned(**options)(certain(PLAIN, written), encode(PLAIN, target)).total.item()


@pytest.mark.parametrize("texts", VOCABULARIES.values(), ids=VOCABULARIES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sigma": 0.0},
        {"alpha": 0.0, "beta": 0.0, "sigma": 0.7},
        {"gamma": 0.0, "epsilon": 0.1},
        {"construction": "soft", "tau": 0.7},
    ],
    ids=str,
)
@settings(max_examples=10)
@given(data=st.data())
def test_equals_the_loops(texts, options, data):
    labels = data.draw(label_rows(texts, rows=3, length=8, longest=6))
    dtype = data.draw(st.sampled_from(list(TOLERANCE)))
    spread = data.draw(st.sampled_from([0.3, 2.0, 6.0]))
    logits = random_logits((*labels.shape, len(texts)), data.draw(st.integers(0, 10**6)), dtype, spread)
    wide = logits.detach().double().requires_grad_()
    loss = NTILAligned(NumberVocab.from_texts(texts), noise_scale=0.0, **options)
    ours, theirs = loss(logits, labels).total, ntil_aligned(texts, wide, labels, **options)
    value_rtol, gradient_rtol = TOLERANCE[dtype]
    assert_near(ours, theirs, value_rtol, ours.dtype)
    limit = torch.finfo(dtype).max / 2
    assert_near(
        gradient(ours, logits), gradient(theirs, wide).clamp(-limit, limit), gradient_rtol, ours.dtype
    )


def test_101_is_nearer_to_098_than_198():
    parts = {w: aligned()(certain(PLAIN, w), encode(PLAIN, "0.98")) for w in ("1.01", "1.98")}
    assert parts["1.01"].emd.item() == pytest.approx(1 / 3)  # one digit of three is off, the first wrong one
    assert parts["1.98"].emd.item() == pytest.approx(1 / 3)
    for term in ("total", "relative", "magnitude"):
        assert getattr(parts["1.01"], term) < getattr(parts["1.98"], term)
    assert cost("0.98", "0.97") < cost("0.98", "1.01") < cost("0.98", "0.92") < cost("0.98", "0.12")


def test_between_digits_of_different_places_the_order_is_that_of_the_digits():
    """The price of a say for every place: 0.90 is nearer to 0.50 than 1.50, and four tenths cost more than one unit."""
    assert cost("0.50", "0.90") > cost("0.50", "1.50")


@given(data=st.data())
def test_farther_on_one_side_costs_more(data):
    """Among answers of one shape that are first wrong at the same digit, too high or too low alike."""
    n, point = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    texts = st.text("0123456789", min_size=n, max_size=n)
    y, one, other = (data.draw(texts) for _ in range(3))
    wrong = [next((i for i in range(n) if w[i] != y[i]), n) for w in (one, other)]
    assume(wrong[0] == wrong[1] < n and one != other and (one > y) == (other > y))
    near, far = sorted((one, other), key=lambda w: abs(int(w) - int(y)))
    shown = [w if point >= n else f"{w[:point]}.{w[point:]}" for w in (y, near, far)]
    assert cost(shown[0], shown[1]) < cost(shown[0], shown[2])


def test_it_is_ntil_as_released_on_integers_while_the_digits_before_are_right():
    """Where greedy decoding writes the label up to the last digit, value and gradient are the same."""
    labels, generator = encode(PLAIN, "18823,7"), torch.Generator().manual_seed(0)
    logits = torch.randn((1, 7, len(PLAIN)), generator=generator, dtype=torch.float64)
    for t, label in enumerate(labels[0].tolist()):
        logits[0, t, label] = logits[0, t].max() + 0.1 * (t != 4)
    logits[0, 4, FIRST + 5] += 2.0  # the last digit may be wrong: nothing stands behind it
    logits.requires_grad_()
    ours, released = aligned()(logits, labels).total, NTIL(VOCAB, noise_scale=0.0)(logits, labels).total
    torch.testing.assert_close(ours, released)
    torch.testing.assert_close(gradient(ours, logits), gradient(released, logits))


def test_the_weight_of_a_place_is_that_of_the_place_and_not_of_the_number():
    def emd(target, written):
        parts = aligned(alpha=0.0, beta=0.0)(certain(PLAIN, written), encode(PLAIN, target))
        return parts.emd.item() * int(parts.digits)

    assert emd("3", "4") == pytest.approx(1.0)
    assert emd("3.25", "4.25") == emd("543", "544") == pytest.approx(1.0)
    assert emd("3.25", "3.35") == emd("543.2", "543.3") == pytest.approx(1 / 1.2)
    assert emd("3.25", "3.26") == pytest.approx(1 / 1.44)


def unsure(target, at, wrong, odds=3.0):
    """[1, T, V] logits: flat, but at `at` the wrong digit is e^odds times as likely as the label's."""
    logits = torch.zeros(1, len(target), len(PLAIN), dtype=torch.float64)
    logits[0, at, FIRST + int(wrong)] = odds
    return logits.requires_grad_()


@pytest.mark.parametrize(("target", "wrong"), [("0.98", "1"), ("199", "2"), ("400", "3"), ("1000", "0")])
def test_no_digit_is_paid_for_making_good_an_earlier_error(target, wrong):
    """The first digit leans to its neighbour. NTIL's decimal EMD then pushes some later digit away from the label; ours none."""

    def pull(loss):  # of the label's logit, at every digit behind the first
        z = unsure(target, 0, wrong)
        down = -gradient(loss(z, encode(PLAIN, target)).total, z)
        return [down[0, t, FIRST + int(d)].item() for t, d in enumerate(target) if t and d != "."]

    only_emd = {"alpha": 0.0, "beta": 0.0, "noise_scale": 0.0}
    assert min(pull(NTIL(VOCAB, number_format="decimal", **only_emd))) < 0
    assert min(pull(NTILAligned(VOCAB, **only_emd))) > 0


@pytest.mark.parametrize("target", SIZES)
def test_every_digit_has_a_say_whatever_the_numbers_size(target):
    """At flat logits the last digit's gradient is within (1+σ)^(n−1), and the extremes of a digit's EMD, of the first's."""

    def share(loss):
        z = torch.zeros(1, len(target), len(PLAIN), dtype=torch.float64, requires_grad=True)
        sizes = gradient(loss(z, encode(PLAIN, target)).total, z)[0].norm(dim=-1)
        sizes = sizes[[t for t, d in enumerate(target) if d != "."]]
        return (sizes[-1] / sizes[0]).item()

    n = len(target.replace(".", ""))
    only_emd = {"alpha": 0.0, "beta": 0.0, "noise_scale": 0.0}
    assert share(NTILAligned(VOCAB, **only_emd)) > 0.4 / 1.2 ** (n - 1)
    if n > 2:
        assert share(NTIL(VOCAB, number_format="decimal", **only_emd)) < 10.0 ** (2 - n)


def steps_to_learn(loss, targets, most=400, rate=1.0):
    """[one for each number] gradient steps on a table of logits, from flat, until every digit's mode is the label's; `most` where never."""
    rows = [encode(PLAIN, target) for target in targets]
    found = []
    for labels in rows:
        z = torch.zeros(1, labels.shape[1], len(PLAIN), dtype=torch.float64, requires_grad=True)
        here = loss.spans(labels).is_number
        for step in range(1, most + 1):  # noqa: B007
            z.data -= rate * gradient(loss(z, labels).total, z)
            if (z.argmax(-1) == labels)[here].all():
                break
        found.append(step)
    return found


def test_a_table_of_logits_learns_numbers_of_every_size():
    """By the EMD alone, in plain gradient descent: all digits in a few dozen steps, where NTIL's decimal EMD leaves trailing ones."""
    only_emd = {"alpha": 0.0, "beta": 0.0, "noise_scale": 0.0}
    ours = steps_to_learn(NTILAligned(VOCAB, **only_emd), SIZES)
    theirs = steps_to_learn(NTIL(VOCAB, number_format="decimal", **only_emd), SIZES)
    assert max(ours) <= 100, ours
    assert max(theirs) == 400, theirs


def test_long_decimals_stay_finite():
    target = "0." + "9" * 300
    logits = random_logits((1, len(target), len(PLAIN)), 0, torch.float32)
    total = aligned()(logits, encode(PLAIN, target)).total
    assert total.isfinite()
    assert gradient(total, logits).isfinite().all()


def test_a_distribution_over_one_digit_is_trusted_by_its_odds():
    """The digit behind one that is half as likely as the mode counts half; with the mode on the label, in full."""
    for odds, share in ((math.log(2.0), 0.5), (0.0, 1.0)):
        z = unsure("11", 0, "5", odds)
        down = gradient(aligned(alpha=0.0, beta=0.0)(z, encode(PLAIN, "11")).total, z)[0, 1]
        z = unsure("11", 0, "1", 1.0)
        full = gradient(aligned(alpha=0.0, beta=0.0)(z, encode(PLAIN, "11")).total, z)[0, 1]
        torch.testing.assert_close(down, share * full)
