"""NTIL and EMD against the published figures and against the loops of oracles/ntil_loops.py, value and gradient."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ntil_loops
from oracles.cases import (
    LOCS,
    PLAIN,
    VOCABULARIES,
    WIDE,
    certain,
    encode,
    gradient,
    label_rows,
    random_logits,
)
from oracles.ntil_twin import FORMATS, TERMS, assert_equals_twin, assert_near

from ntil.losses import EMD, NTIL
from ntil.numbers import NumberVocab

VOCABS = {name: NumberVocab.from_texts(texts) for name, texts in VOCABULARIES.items()}
LONGEST = {
    "digits": 8,
    "decimal": 3,
}  # digits in a number: the twin adds up all combinations of tokens in `decimal`, up to 10^n


def ntil(name="plain", **options):
    return NTIL(VOCABS[name], **{"noise_scale": 0.0, **options})


def score(target, written, **options):
    return ntil(**options)(certain(PLAIN, written), encode(PLAIN, target))


# ---- the paper's motivating example


@pytest.mark.parametrize(
    ("written", "emd", "relative", "magnitude"),
    [("1.98", 0.333, 0.250, 0.347), ("1.01", 6.267, 0.740, 2.298), ("0.98", 0.0, 0.0, 0.0)],
)
def test_published_figures_for_098_in_digits_format(written, emd, relative, magnitude):
    parts = score("0.98", written)
    assert parts.emd.item() == pytest.approx(emd, abs=5e-4)
    assert parts.relative.item() == pytest.approx(relative, abs=5e-4)
    assert parts.magnitude.item() == pytest.approx(magnitude, abs=5e-4)
    assert parts.total.item() == pytest.approx(emd + 0.2 * relative + 0.2 * magnitude, abs=1e-3)
    assert (int(parts.digits), int(parts.numbers)) == (3, 2)


@pytest.mark.parametrize("term", TERMS)
def test_101_is_nearer_to_098_than_198_in_decimal_format(term):
    near, far = (getattr(score("0.98", w, number_format="decimal"), term) for w in ("1.01", "1.98"))
    assert 0 < near.item() < far.item()


def test_decimal_terms_of_the_example_by_hand():
    parts = score("0.98", "1.01", number_format="decimal")
    assert parts.emd.item() == pytest.approx(1.2**2 * 0.03 / 3)
    assert parts.relative.item() == pytest.approx(0.03 / 2.01)
    assert parts.magnitude.item() == pytest.approx(math.log(2.01 / 1.98))
    assert (int(parts.digits), int(parts.numbers)) == (3, 1)


def test_decimal_format_knows_how_the_digits_of_a_token_go_together():
    """Half 199 and half 200, against 199, costs half a pixel; half 100 and half 299, with the same digits, a hundred."""
    texts = [f"{value:03d}" for value in range(1000)]
    label, vocab = torch.tensor([[199]]), NumberVocab.from_texts(texts)

    def emd(number_format, *answers):
        logits = torch.full((1, 1, 1000), -200.0)
        logits[0, 0, list(answers)] = 0.0
        return EMD(vocab, number_format=number_format)(logits, label).total.item() * 3  # per digit

    assert emd("decimal", 199, 200) == pytest.approx(0.5 * 0.01)
    assert emd("decimal", 100, 299) == pytest.approx(0.5 * (0.99 + 1.00))
    assert emd("digits", 199, 200) == emd("digits", 100, 299) == pytest.approx(0.5 * (1 + 9 + 9))


def test_both_formats_agree_where_only_the_leading_digit_is_wrong():
    digits, decimal = (score("345", "645", number_format=f) for f in FORMATS)
    torch.testing.assert_close(digits.total, decimal.total)


# ---- the loops


@pytest.mark.parametrize("number_format", FORMATS)
@pytest.mark.parametrize("name", VOCABS)
@settings(max_examples=25)
@given(data=st.data())
def test_equals_the_loops(name, number_format, data):
    texts = VOCABULARIES[name]
    labels = data.draw(label_rows(texts, longest=LONGEST[number_format]))
    logits = random_logits((*labels.shape, len(texts)), data.draw(st.integers(0, 10**6)))
    loss = ntil(name, number_format=number_format)
    assert_equals_twin(texts, loss, logits, labels, 1e-9, 1e-9, number_format=number_format)


@pytest.mark.parametrize(
    ("dtype", "value_rtol", "gradient_rtol"),
    [
        (torch.float64, 1e-9, 1e-9),
        (torch.float32, 1e-5, 1e-5),
        (torch.bfloat16, 1e-5, 1e-2),
        (torch.float16, 1e-5, 2e-3),
    ],
    ids=str,
)
@pytest.mark.parametrize("number_format", FORMATS)
@pytest.mark.parametrize(("B", "T", "extra"), [(1, 1, 0), (3, 7, 0), (2, 13, 5)])
def test_dtypes_and_odd_shapes(dtype, value_rtol, gradient_rtol, number_format, B, T, extra):
    texts = [*WIDE, *["<unused>"] * extra]
    pieces = ["1", ".", "42", "the", None, " 5", "007", "٣", "9", "8", ".", "3", "-"]
    labels = torch.cat([encode(texts, pieces).roll(-3 * b)[:, :T] for b in range(B)])
    logits = random_logits((B, T, len(texts)), seed=B * T).detach().to(dtype).requires_grad_()
    loss = ntil("wide", number_format=number_format)
    assert_equals_twin(texts, loss, logits, labels, value_rtol, gradient_rtol, number_format=number_format)
    assert gradient(loss(logits, labels).total, logits).dtype == dtype


@pytest.mark.parametrize("number_format", FORMATS)
@pytest.mark.parametrize(
    "options",
    [
        {"sigma": 0.0},
        {"sigma": 1.5},
        {"alpha": 0.7, "beta": 0.1, "gamma": 0.3},
        {"tau": 1.0},
        {"epsilon": 0.01},
        {"construction": "soft"},
        {"construction": "soft", "tau": 1.0},
    ],
    ids=str,
)
def test_options_equal_the_loops(options, number_format):
    labels = torch.cat(
        [encode(WIDE, ["1", ".", "42", "-", "007"]), encode(WIDE, ["9", "8", None, " 5", "the"])]
    )
    logits = random_logits((2, 5, len(WIDE)), seed=3)
    options = {**options, "number_format": number_format}
    assert_equals_twin(WIDE, ntil("wide", **options), logits, labels, 1e-9, 1e-9, **options)


@pytest.mark.parametrize("number_format", FORMATS)
@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_emd_is_the_first_term_alone(sigma, number_format):
    labels, logits = encode(PLAIN, "12.7,345"), random_logits((1, 8, len(PLAIN)), seed=1)
    parts = EMD(VOCABS["plain"], sigma=sigma, number_format=number_format)(logits, labels)
    twin = ntil_loops.ntil(PLAIN, logits, labels, sigma=sigma, number_format=number_format)
    assert_near(parts.total, twin.emd, 1e-9)
    assert_near(gradient(parts.total, logits), gradient(twin.emd, logits), 1e-9)
    assert list(parts.terms) == ["emd"]


def test_sigma_0_is_the_default_of_emd():
    labels, logits = encode(PLAIN, "345"), random_logits((1, 3, len(PLAIN)), seed=1)
    assert EMD(VOCABS["plain"])(logits, labels).total == EMD(VOCABS["plain"], sigma=0.0)(logits, labels).total


def test_ordinals_are_numbers_of_one_digit():
    labels = encode(LOCS, ["<loc03>", "<loc15>"])
    parts = ntil("locs")(certain(LOCS, ["<loc07>", "<loc15>"]), labels)
    assert (int(parts.digits), int(parts.numbers)) == (2, 2)
    assert parts.emd.item() == pytest.approx(4 / 2)
    assert parts.relative.item() == pytest.approx(4 / 8 / 2)
    assert parts.magnitude.item() == pytest.approx(math.log(8 / 4) / 2)


@pytest.mark.parametrize("number_format", FORMATS)
def test_llama3_tokens_of_several_digits(real_tokenizer, number_format):
    tokenizer = real_tokenizer("llama3")
    labels = torch.tensor([tokenizer.encode("2024 is 1.07 or 42", add_special_tokens=False)])
    assert sorted(tokenizer.decode([i]) for i in labels[0] if tokenizer.decode([i]).isdigit()) == [
        "07", "1", "202", "4", "42",
    ]  # fmt: skip
    vocab = NumberVocab.from_tokenizer(tokenizer)
    # The twin works on the columns that matter; ours gets all 128,256 of them.
    ids = torch.cat([vocab.width.nonzero().flatten(), labels[labels >= 0]]).unique()
    texts = [tokenizer.decode([i]) for i in ids]
    narrow_labels = torch.where(labels >= 0, torch.searchsorted(ids, labels), -100)
    narrow = random_logits((1, labels.shape[1], len(ids)), seed=0)
    others = random_logits((1, labels.shape[1], vocab.size), seed=1).detach()
    loss = NTIL(vocab, noise_scale=0.0, number_format=number_format)

    def ours(narrow, _):
        return loss(others.index_copy(-1, ids, narrow), labels)

    assert_equals_twin(texts, ours, narrow, narrow_labels, 1e-9, 1e-9, number_format=number_format)


# ---- where the loss must be exact


@pytest.mark.parametrize("number_format", FORMATS)
@pytest.mark.parametrize("written", ["345.12", "300.02"])
def test_relative_and_magnitude_have_exactly_no_gradient_when_right(written, number_format):
    labels = encode(PLAIN, written)
    logits = (certain(PLAIN, written, sure=0.5) + random_logits((1, 6, len(PLAIN)), 0, spread=0.1)).detach()
    logits.requires_grad_()
    parts = ntil(number_format=number_format)(logits, labels)
    for term in (parts.relative, parts.magnitude):
        assert term.item() == 0
        assert not gradient(term, logits).any()
    assert gradient(parts.emd, logits).any()
    soft = ntil(number_format=number_format, construction="soft", tau=1.0)(logits, labels)
    assert gradient(soft.relative, logits).any()
    assert gradient(soft.magnitude, logits).any()


@pytest.mark.parametrize(
    ("target", "written"),
    [("10000", "00000"), ("1" + "0" * 11, "0" * 12), ("0" * 12, "1" + "0" * 11), ("9" * 12, "0" * 11 + "1")],
)
def test_magnitude_is_exact_for_numbers_of_very_different_size(target, written):
    X, Y = int(written), int(target)
    expected = math.log((max(X, Y) + 1) / (min(X, Y) + 1))
    assert score(target, written).magnitude.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [15, 16, 17, 20, 60, 250])
@pytest.mark.parametrize("number_format", FORMATS)
def test_zero_written_for_a_long_number(n, number_format):
    labels = encode(PLAIN, "1" + "0" * (n - 1))
    logits = certain(PLAIN, "0" * n, sure=5.0).requires_grad_()
    parts = ntil(number_format=number_format)(logits, labels)
    assert parts.magnitude.item() == pytest.approx((n - 1) * math.log(10), rel=1e-6)
    assert gradient(parts.magnitude, logits).isfinite().all()
    assert gradient(parts.magnitude, logits).any()


@pytest.mark.parametrize("number_format", FORMATS)
@pytest.mark.parametrize("rank", [1, 6, 40, 300])
def test_position_weight_in_float64(rank, number_format):
    # Only the leading digit is wrong, by 1: n·EMD = (1+σ)^(n−1) to the precision of the logits.
    target, written = "1" + "0" * rank, "2" + "0" * rank
    emd = score(target, written, number_format=number_format).emd.item() * (rank + 1)
    assert emd == pytest.approx(1.2**rank, rel=1e-9)


def test_per_sample_means_then_the_mean_over_the_batch():
    labels = torch.cat([encode(PLAIN, ["1", "2", "the"]), encode(PLAIN, ["7", "the", "the"])])
    logits = torch.cat([certain(PLAIN, ["2", "2", "the"]), certain(PLAIN, ["4", "the", "the"])])
    parts = ntil(sigma=0.0)(logits, labels)
    assert parts.emd.item() == pytest.approx((1 / 2 + 3 / 1) / 2)
    assert parts.relative.item() == pytest.approx((10 / 23 + 3 / 8) / 2)
    empty = torch.full_like(labels[:1], -100)
    halved = ntil(sigma=0.0)(torch.cat([logits, logits]), torch.cat([labels, empty, empty]))
    torch.testing.assert_close(halved.total, parts.total / 2)  # a sample without digits counts as 0


# ---- switches and noise


@pytest.mark.parametrize("off", ["alpha", "beta", "gamma"])
@pytest.mark.parametrize("number_format", FORMATS)
def test_a_term_of_weight_0_is_off(off, number_format):
    labels, logits = encode(PLAIN, "12.7,345"), random_logits((1, 8, len(PLAIN)), seed=5)
    full = ntil(number_format=number_format)(logits, labels)
    parts = ntil(number_format=number_format, **{off: 0.0})(logits, labels)
    term, weight = {"alpha": ("relative", 0.2), "beta": ("magnitude", 0.2), "gamma": ("emd", 1.0)}[off]
    assert getattr(parts, term).item() == 0
    torch.testing.assert_close(parts.total, full.total - weight * getattr(full, term))


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": -0.1},
        {"alpha": -1.0},
        {"noise_scale": -1.0},
        {"alpha": 0.0, "beta": 0.0, "gamma": 0.0},
        {"tau": 0.0},
        {"epsilon": 0.0},
        {"sigma": float("nan")},
        {"construction": "hard"},
        {"number_format": "decimals"},
    ],
    ids=str,
)
def test_options_out_of_range_are_an_error(options):
    with pytest.raises(ValueError, match="|".join(options)):
        ntil(**options)


def seeded(loss, logits, labels, seed):
    torch.manual_seed(seed)
    parts = loss(logits, labels)
    return parts.total, gradient(parts.total, logits)


def test_noise_follows_the_seed_and_no_noise_ignores_it():
    labels, logits = encode(PLAIN, "12.7,345"), random_logits((1, 8, len(PLAIN)), seed=2)
    for scale, depends in ((0.0, False), (1.0, True)):
        loss = ntil(noise_scale=scale, tau=1.0)
        first, again, other = (seeded(loss, logits, labels, seed) for seed in (0, 0, 1))
        torch.testing.assert_close(again, first, rtol=0, atol=0)
        assert torch.equal(other[1], first[1]) is not depends


def test_noise_is_minus_log_of_an_exponential_sample_added_to_the_logits():
    labels, logits = encode(PLAIN, "345"), random_logits((1, 3, len(PLAIN)), seed=2)
    torch.manual_seed(7)
    noisy = ntil(noise_scale=0.5)(logits, labels)
    torch.manual_seed(7)
    g = -torch.empty(1, 3, 10, dtype=torch.float64).exponential_().log() * 0.5
    shifted = logits.detach().clone()
    shifted[..., 1:11] += g
    shifted.requires_grad_()
    clean = ntil()(shifted, labels)
    torch.testing.assert_close(noisy.relative, clean.relative)
    torch.testing.assert_close(gradient(noisy.relative, logits), gradient(clean.relative, shifted))
    torch.testing.assert_close(noisy.emd, ntil()(logits, labels).emd)  # the EMD term takes none


def test_only_number_columns_get_a_gradient():
    labels, logits = encode(PLAIN, "1,2"), random_logits((1, 3, len(PLAIN)), seed=2)
    touched = gradient(ntil()(logits, labels).total, logits) != 0
    columns = torch.tensor([text in "0123456789" for text in PLAIN])
    assert touched[0, [0, 2]][:, columns].any()
    assert not touched[..., ~columns].any()
    assert not touched[0, 1].any()
