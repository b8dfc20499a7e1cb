"""The rival losses against their loops, and against the package that its authors publish where it is installed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import rival_loops as loops
from oracles.cases import LOCS, PLAIN, SPACED, WIDE, encode, gradient, label_rows, random_logits

from ntil.losses import (
    DEL,
    DIST2,
    EMD,
    NTLMSE,
    NTLWAS,
    RPS,
    SMMD,
    CrossEntropy,
    GaussianCE,
    NTLNumber,
    WithCrossEntropy,
)
from ntil.numbers import NumberVocab

VOCABULARIES = {"plain": PLAIN, "spaced": SPACED, "wide": WIDE}
TOKEN_LOSSES = {
    "NTL-WAS": (NTLWAS, {}, loops.ntl_was(False)),
    "NTL-WAS reweighed": (NTLWAS, {"reweigh": True}, loops.ntl_was(True)),
    "NTL-WAS squashed": (NTLWAS, {"squash_factor": 3.0}, loops.ntl_was(False, 3.0)),
    "NTL-WAS squashed and reweighed": (
        NTLWAS,
        {"squash_factor": 1.5, "reweigh": True},
        loops.ntl_was(True, 1.5),
    ),
    "RPS": (RPS, {}, loops.rps()),
    "NTL-MSE": (NTLMSE, {}, loops.ntl_mse(False)),
    "NTL-MSE reweighed": (NTLMSE, {"reweigh": True}, loops.ntl_mse(True)),
    "Gaussian CE": (GaussianCE, {"sigma": 1.5}, loops.gaussian_ce(1.5)),
    "DIST2": (DIST2, {"tau": 2.0}, loops.dist2(2.0)),
    "SMMD": (SMMD, {"s": 1.7}, loops.smmd(1.7)),
}


def assert_same(ours, theirs, logits, rtol=1e-6, atol=1e-7):
    torch.testing.assert_close(ours, theirs.to(ours.dtype), rtol=rtol, atol=atol)
    torch.testing.assert_close(gradient(ours, logits), gradient(theirs, logits), rtol=rtol, atol=atol)


@pytest.mark.parametrize("texts", VOCABULARIES.values(), ids=VOCABULARIES)
@pytest.mark.parametrize("tokens", ["digits", "all"])
@pytest.mark.parametrize(("cls", "options", "per_token"), TOKEN_LOSSES.values(), ids=TOKEN_LOSSES)
@settings(max_examples=8)
@given(data=st.data())
def test_token_losses_equal_the_loops(cls, options, per_token, tokens, texts, data):
    labels = data.draw(label_rows(texts, rows=2, length=5))
    logits = random_logits((*labels.shape, len(texts)), data.draw(st.integers(0, 10**6)))
    loss = cls(NumberVocab.from_texts(texts), tokens=tokens, **options)
    assert_same(loss(logits, labels).total, loops.average(texts, logits, labels, tokens, per_token), logits)


@pytest.mark.parametrize("texts", VOCABULARIES.values(), ids=VOCABULARIES)
@pytest.mark.parametrize("number_format", ["digits", "decimal"])
@pytest.mark.parametrize("reweigh", [False, True])
@settings(max_examples=15)
@given(data=st.data())
def test_number_level_equals_the_loops(reweigh, number_format, texts, data):
    labels = data.draw(label_rows(texts, rows=2, length=6, longest=6))
    logits = random_logits((*labels.shape, len(texts)), data.draw(st.integers(0, 10**6)))
    loss = NTLNumber(NumberVocab.from_texts(texts), number_format=number_format, reweigh=reweigh)
    assert_same(
        loss(logits, labels).total, loops.ntl_number(texts, logits, labels, number_format, reweigh), logits
    )


@pytest.mark.parametrize("texts", VOCABULARIES.values(), ids=VOCABULARIES)
@pytest.mark.parametrize("number_format", ["digits", "decimal"])
@settings(max_examples=15)
@given(data=st.data())
def test_del_equals_the_loops(number_format, texts, data):
    labels = data.draw(label_rows(texts, rows=2, length=6, longest=6))
    logits = random_logits((*labels.shape, len(texts)), data.draw(st.integers(0, 10**6)))
    loss = DEL(NumberVocab.from_texts(texts), number_format=number_format)
    theirs = loops.digit_weighted_bce(texts, logits, labels, number_format)
    assert_same(loss(logits, labels).total, theirs, logits)


def test_ntl_was_on_single_digits_is_the_plain_emd():
    labels, logits = encode(PLAIN, "12.7,3"), random_logits((1, 6, len(PLAIN)), 0)
    vocab = NumberVocab.from_texts(PLAIN)
    assert_same(NTLWAS(vocab)(logits, labels).total, EMD(vocab)(logits, labels).total, logits)


@pytest.mark.parametrize("cls", [RPS, NTLWAS])
def test_rps_is_a_proper_score_and_the_distance_is_not(cls):
    """Over the true distribution of a digit its expectation is lowest, and flat, where the model has that distribution."""
    torch.manual_seed(0)
    truth = torch.distributions.Dirichlet(torch.ones(10, dtype=torch.float64)).sample()
    vocab, labels = NumberVocab.from_texts(PLAIN), encode(PLAIN, "0123456789").T
    first = PLAIN.index("0")

    def expected(z):
        logits = torch.zeros(10, 1, len(PLAIN), dtype=torch.float64)
        logits[:, 0, first : first + 10] = z
        return (truth * cls(vocab)(logits, labels, reduction="none").total[:, 0]).sum()

    right = truth.log().requires_grad_()
    flat = gradient(expected(right), right).abs().max() < 1e-12
    others = [right + step * torch.randn_like(right) for step in (0.05, 0.5) for _ in range(50)]
    lowest = all(expected(other) > expected(right) for other in others)
    assert (bool(flat), lowest) == (cls is RPS, cls is RPS)


def test_rps_of_a_sure_digit_is_its_distance_and_by_hand():
    vocab, labels = NumberVocab.from_texts(PLAIN), encode(PLAIN, "2")
    for digit in range(10):
        z = torch.zeros(1, 1, len(PLAIN), dtype=torch.float64)
        z[..., PLAIN.index(str(digit))] = 200.0
        assert RPS(vocab)(z, labels).total.item() == pytest.approx(abs(digit - 2))
    half = torch.full((1, 1, len(PLAIN)), -200.0, dtype=torch.float64)
    half[..., [PLAIN.index("1"), PLAIN.index("4")]] = 0.0  # F is ½ at 1, 2 and 3: ¼ + ¼ + ¼
    assert RPS(vocab)(half, labels).total.item() == pytest.approx(0.75)


@pytest.mark.parametrize("squash_factor", [1.0, 0.5, -2.0, float("nan")])
def test_a_squash_factor_has_to_be_above_1(squash_factor):
    with pytest.raises(ValueError, match="squash_factor must be above 1"):
        NTLWAS(NumberVocab.from_texts(PLAIN), squash_factor=squash_factor)


def test_a_squash_factor_of_9_changes_nothing_on_digits():
    labels, logits = encode(PLAIN, "12.7,3"), random_logits((1, 6, len(PLAIN)), 0)
    vocab = NumberVocab.from_texts(PLAIN)
    assert_same(
        NTLWAS(vocab, squash_factor=9.0)(logits, labels).total, NTLWAS(vocab)(logits, labels).total, logits
    )


def test_gaussian_ce_with_a_narrow_target_replaces_cross_entropy_exactly():
    vocab, labels = NumberVocab.from_texts(PLAIN), encode(PLAIN, ["1", "the", "7", None, ","])
    logits = random_logits((1, 5, len(PLAIN)), 0)
    full = WithCrossEntropy(
        GaussianCE(vocab, sigma=0.05), weight=1.0, balance="digit_share", ce_on_digits=False
    )
    assert_same(full(logits, labels), CrossEntropy()(logits, labels), logits)


def test_ordinal_tokens_are_left_to_cross_entropy():
    vocab, labels = NumberVocab.from_texts(LOCS), encode(LOCS, ["<loc03>", "the"])
    assert NTLWAS(vocab, tokens="all")(random_logits((1, 2, len(LOCS)), 0), labels).total == 0


@pytest.mark.parametrize("cls", [NTLWAS, DIST2, SMMD])
def test_a_vocabulary_without_single_digits_is_refused(cls):
    with pytest.raises(ValueError, match="tokens"):
        cls(NumberVocab.from_texts(["a", "12", "34"]), tokens="digits")


@pytest.fixture(scope="module")
def published():
    """`ntloss` and a tokenizer over the PLAIN vocabulary."""
    ntloss = pytest.importorskip("ntloss")
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({text: i for i, text in enumerate(PLAIN)}, unk_token="<pad>"))
    return ntloss, PreTrainedTokenizerFast(tokenizer_object=words)


@pytest.mark.parametrize("reweigh", [False, True])
@settings(max_examples=25)
@given(labels=label_rows(PLAIN, rows=3, length=8), seed=st.integers(0, 10**6))
def test_ntl_was_equals_ntloss(published, reweigh, labels, seed):
    _equals_ntloss(published, "NTLoss", NTLWAS, {"reweigh": reweigh}, {"reweigh": reweigh}, labels, seed)


@pytest.mark.parametrize("reweigh", [False, True])
@pytest.mark.parametrize("squash_factor", [1.01, 2.0, 3, 9.0, 40.0])
@settings(max_examples=10)
@given(labels=label_rows(PLAIN, rows=3, length=8), seed=st.integers(0, 10**6))
def test_a_squash_factor_equals_that_of_ntloss(published, squash_factor, reweigh, labels, seed):
    options = {"reweigh": reweigh, "squash_factor": squash_factor}
    _equals_ntloss(published, "NTLoss", NTLWAS, options, options, labels, seed)


@pytest.mark.parametrize("reweigh", [False, True])
@settings(max_examples=25)
@given(labels=label_rows(PLAIN, rows=3, length=8), seed=st.integers(0, 10**6))
def test_ntl_mse_equals_ntloss(published, reweigh, labels, seed):
    theirs = {"reweigh": reweigh, "loss_function": torch.nn.functional.mse_loss}
    _equals_ntloss(published, "NTLossDotProduct", NTLMSE, {"reweigh": reweigh}, theirs, labels, seed)


@pytest.mark.parametrize("reweigh", [False, True])
@settings(max_examples=25)
@given(labels=label_rows(PLAIN, rows=3, length=8, longest=6), seed=st.integers(0, 10**6))
def test_number_level_equals_ntloss(published, reweigh, labels, seed):
    _equals_ntloss(
        published, "NumberLevelLoss", NTLNumber, {"reweigh": reweigh}, {"reweigh": reweigh}, labels, seed
    )


def _equals_ntloss(published, name, cls, our_options, their_options, labels, seed):
    ntloss, tokenizer = published
    vocab = NumberVocab.from_texts(PLAIN)
    is_number = cls(vocab).spans(labels).is_number
    if not is_number.any():  # theirs is then a constant without a graph
        return
    logits = random_logits((*labels.shape, len(PLAIN)), seed)  # float64: in float32 both round large logits
    ours = cls(vocab, **our_options)(logits, labels).total
    theirs = getattr(ntloss.core, name)(tokenizer, vocab_size=len(PLAIN), **their_options)(logits, labels)
    assert_same(ours, theirs, logits)
