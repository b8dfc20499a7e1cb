"""Losses on whole numbers against enumerations of every number, and what is special about each."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import whole_loops as loops
from oracles.cases import (
    LOCS,
    PLAIN,
    SHUFFLED,
    SPACED,
    WIDE,
    certain,
    encode,
    gradient,
    label_rows,
    random_logits,
)

from ntil.losses import CRPS, NTLMSE, RAFT, SequenceSmoothing
from ntil.losses.functional import number_emd
from ntil.numbers import NumberVocab

VOCABULARIES = {"plain": PLAIN, "shuffled": SHUFFLED, "spaced": SPACED, "wide": WIDE, "locs": LOCS}
FORMATS = ["digits", "decimal"]
SCALES = ["digits", "value"]
# dtype → relative tolerance of the value, of the gradient, against float64 on the same rounded logits
TOLERANCE = {
    torch.float64: (1e-9, 1e-9),
    torch.float32: (2e-5, 1e-4),
    torch.bfloat16: (2e-5, 1e-2),
    torch.float16: (2e-5, 2e-3),
}
LONGEST = 3  # digits; the twins look at every number
every_vocabulary = pytest.mark.parametrize("texts", VOCABULARIES.values(), ids=VOCABULARIES)


def assert_equals(loss, twin, texts, data):
    labels = data.draw(label_rows(texts, rows=2, length=6, longest=LONGEST))
    dtype = data.draw(st.sampled_from(list(TOLERANCE)))
    extra = data.draw(st.integers(0, 3))
    logits = random_logits((*labels.shape, len(texts) + extra), data.draw(st.integers(0, 10**6)), dtype)
    wide = logits.detach().double().requires_grad_()
    ours, theirs = loss(logits, labels).total, twin(texts, wide, labels)
    limit = torch.finfo(dtype).max / 2  # float16 gradients saturate there
    slope = gradient(theirs, wide).clamp(-limit, limit)
    for actual, expected, rtol in zip(
        (ours, gradient(ours, logits)), (theirs, slope), TOLERANCE[dtype], strict=True
    ):
        size = float(expected.detach().abs().max()) if expected.numel() else 0.0
        torch.testing.assert_close(actual.double(), expected, rtol=rtol, atol=rtol * max(size, 5e-2))


@every_vocabulary
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("number_format", FORMATS)
@settings(max_examples=8)
@given(data=st.data())
def test_crps_equals_the_enumeration(texts, scale, number_format, data):
    loss = CRPS(NumberVocab.from_texts(texts), number_format, scale)
    assert_equals(loss, lambda *case: loops.averaged(*case, number_format, loops.crps(scale)), texts, data)


@every_vocabulary
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("number_format", FORMATS)
@settings(max_examples=8)
@given(data=st.data())
def test_raft_equals_the_enumeration(texts, scale, number_format, data):
    loss = RAFT(NumberVocab.from_texts(texts), number_format, scale)
    assert_equals(loss, lambda *case: loops.averaged(*case, number_format, loops.raft(scale)), texts, data)


@every_vocabulary
@pytest.mark.parametrize("temperature", [0.01, 0.05, 0.5, 20.0])
@pytest.mark.parametrize("number_format", FORMATS)
@settings(max_examples=6)
@given(data=st.data())
def test_sequence_smoothing_equals_the_enumeration(texts, temperature, number_format, data):
    loss = SequenceSmoothing(NumberVocab.from_texts(texts), temperature, number_format)
    assert_equals(
        loss,
        lambda *case: loops.sequence_smoothing(*case, temperature, number_format),
        texts,
        data,
    )


@pytest.mark.parametrize("scale_of_error", [0.05, 0.5])
def test_crps_is_proper_for_independent_digits_and_the_distance_is_not(scale_of_error):
    """Its expectation over true numbers is lowest, and flat, at the true distribution; that of E|X − y| is not."""
    torch.manual_seed(0)
    truth = torch.distributions.Dirichlet(torch.full((2, 10), 0.7, dtype=torch.float64)).sample()
    labels = torch.stack([encode(PLAIN, f"{y:02d}")[0] for y in range(100)])
    chances = (truth[0][:, None] * truth[1]).flatten()
    first = PLAIN.index("0")

    def expected(z, loss):
        logits = torch.zeros(100, 2, len(PLAIN), dtype=torch.float64)
        logits[..., first : first + 10] = z
        each = loss(logits, labels, reduction="none").total.sum(-1)
        return (chances * each).sum()

    class Distance(CRPS):
        def per_number(self, columns, spans, scale):
            return number_emd(self.token_off(columns, spans), spans.is_first, spans.number, scale)

    vocab, right = NumberVocab.from_texts(PLAIN), truth.log()
    for cls, is_proper in ((CRPS, True), (Distance, False)):
        loss, z = cls(vocab), right.clone().requires_grad_()
        flat = gradient(expected(z, loss), z).abs().max() < 1e-9
        others = [right + scale_of_error * torch.randn_like(right) for _ in range(50)]
        lowest = all(expected(other, loss) > expected(right, loss) for other in others)
        assert (bool(flat), lowest) == (is_proper, is_proper), cls.__name__


def test_crps_of_a_sure_number_is_its_distance():
    loss = CRPS(NumberVocab.from_texts(PLAIN))
    assert loss(certain(PLAIN, "1.01"), encode(PLAIN, "0.98")).total.item() == pytest.approx(0.03)
    assert loss(certain(PLAIN, "1.98"), encode(PLAIN, "0.98")).total.item() == pytest.approx(1.0)
    assert loss(certain(PLAIN, "00390"), encode(PLAIN, "00345")).total.item() == pytest.approx(0.0045)
    by_value = CRPS(loss.vocab, scale="value")
    assert by_value(certain(PLAIN, "00390"), encode(PLAIN, "00345")).total.item() == pytest.approx(45 / 345)


def test_crps_by_hand():
    """Half 1, half 3 against 2: E|X − y| = 1, E|X − X'| = 1."""
    logits = torch.full((1, 1, len(PLAIN)), -50.0, dtype=torch.float64)
    logits[..., [PLAIN.index("1"), PLAIN.index("3")]] = 0.0
    labels = encode(PLAIN, "2")
    assert CRPS(NumberVocab.from_texts(PLAIN))(logits, labels).total.item() == pytest.approx(0.5)
    assert RAFT(NumberVocab.from_texts(PLAIN))(logits, labels).total.item() == pytest.approx(0.0, abs=1e-12)


def test_raft_on_one_digit_is_ntl_mse():
    vocab, labels = NumberVocab.from_texts(PLAIN), encode(PLAIN, "1,7,3")
    logits = random_logits((1, 5, len(PLAIN)), 0)
    ours, theirs = RAFT(vocab)(logits, labels).total, NTLMSE(vocab)(logits, labels).total
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient(ours, logits), gradient(theirs, logits))


@pytest.mark.parametrize("cls", [CRPS, RAFT])
def test_in_units_of_the_target_every_size_counts(cls):
    """Ten per cent off costs the same for 00300 and 70000 in units of the value, and 10⁴ times less or more otherwise."""
    vocab = NumberVocab.from_texts(PLAIN)

    def cost(scale, target, written):
        return cls(vocab, scale=scale)(certain(PLAIN, written), encode(PLAIN, target)).total.item()

    assert cost("value", "00300", "00330") == pytest.approx(cost("value", "70000", "77000"))
    assert cost("digits", "00300", "00330") < 0.01 * cost("digits", "70000", "77000")


@pytest.mark.parametrize("cls", [CRPS, RAFT])
def test_an_unknown_scale_is_an_error(cls):
    with pytest.raises(ValueError, match="scale must be 'digits' or 'value', not 'log'"):
        cls(NumberVocab.from_texts(PLAIN), scale="log")


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_has_to_be_positive(temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        SequenceSmoothing(NumberVocab.from_texts(PLAIN), temperature)


def test_smoothing_reaches_over_a_carry():
    """A model that splits 199 as the neighbours do, some 2 in front, has less to learn than one that is sure of 1."""
    vocab, labels = NumberVocab.from_texts(PLAIN), encode(PLAIN, "199")
    loss, z = SequenceSmoothing(vocab), torch.zeros(1, 3, len(PLAIN), dtype=torch.float64, requires_grad=True)
    pull = -gradient(loss(z, labels).total, z)[0, 0, PLAIN.index("0") : PLAIN.index("9") + 1]
    assert pull[1] > 0
    assert pull[2] > 0
    assert (pull[[0, *range(3, 10)]] < 0).all()


def test_a_narrow_neighbourhood_is_cross_entropy_on_the_digits():
    vocab, labels = NumberVocab.from_texts(PLAIN), encode(PLAIN, "3.45,7")
    logits = random_logits((1, 6, len(PLAIN)), 0)
    ours = SequenceSmoothing(vocab, temperature=1e-4)(logits, labels).total
    digits = [t for t, label in enumerate(labels[0]) if PLAIN[label].isdigit()]
    first = PLAIN.index("0")
    rows = logits[0, digits, first : first + 10]
    torch.testing.assert_close(ours, torch.nn.functional.cross_entropy(rows, labels[0, digits] - first))
