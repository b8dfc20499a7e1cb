"""What every number loss promises. All losses that a module of ntil.losses defines are tested, so a new one is too."""

import copy
import inspect
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.cases import PLAIN, certain, encode, gradient, label_rows, random_logits
from torch import nn

from ntil.losses import SMMD, NTLNumber, NumberLoss, WithCrossEntropy
from ntil.losses.discover import number_losses
from ntil.numbers import NumberVocab

VOCAB = NumberVocab.from_texts(PLAIN)
V = len(PLAIN)
DIGIT_COLUMNS = torch.tensor([text in "0123456789" for text in PLAIN])
HALF_AND_SINGLE = [torch.float32, torch.bfloat16, torch.float16]


def exported_losses():
    """[make] with an id for every exported loss, in each number format that it knows, without randomness."""
    makers = []
    for name, cls in number_losses().items():
        options = inspect.signature(cls).parameters
        fixed = {"noise_scale": 0.0} if "noise_scale" in options else {}
        formats = (
            [{"number_format": f} for f in ("digits", "decimal")] if "number_format" in options else [{}]
        )
        for extra in formats:
            make = partial(cls, VOCAB, **fixed, **extra)
            makers.append(pytest.param(make, id="-".join([name, *extra.values()])))
    return makers


@pytest.fixture(params=exported_losses())
def loss(request):
    return request.param()


def batch(*rows):
    """[B, T] labels from texts, padded with masked labels on the right."""
    longest = max(len(row) for row in rows)
    return torch.cat([encode(PLAIN, [*row, *[None] * (longest - len(row))]) for row in rows])


LABELS = batch("0.98, 12-7", "1.2.3", "345", "")


def value_and_gradient(loss, logits, labels):
    logits = logits.detach().requires_grad_()
    total = loss(logits, labels).total
    assert total.requires_grad, "the loss is not connected to the logits"
    return total.detach(), gradient(total, logits)


def test_the_contract_covers_the_exported_losses():
    names = " ".join(parameter.id for parameter in exported_losses())
    assert "NTIL-digits" in names
    assert "NTIL-decimal" in names
    assert "EMD-digits" in names


@pytest.mark.parametrize("target", ["4", "0", "9", "345", "0.98", "12.5,7"])
def test_minimum_at_the_truth(loss, target):
    labels = encode(PLAIN, target)
    truth = loss(certain(PLAIN, target), labels).total
    for t, right in enumerate(target):
        for digit in "0123456789" if right.isdigit() else "":
            if digit != right:
                wrong = loss(certain(PLAIN, target[:t] + digit + target[t + 1 :]), labels).total
                assert wrong > truth


@pytest.mark.parametrize("target", ["4", "0", "9", "145", "0.48"])
def test_nearer_scores_lower(loss, target):
    if isinstance(loss, SMMD):
        pytest.skip("as published: the degree term makes the value farthest from an end of the range cheaper")
    labels = encode(PLAIN, target)
    t = target.index("4") if "4" in target else 0
    at = int(target[t])
    for side in (range(at, 10), range(at, -1, -1)):
        written = [target[:t] + str(digit) + target[t + 1 :] for digit in side]
        scores = [loss(certain(PLAIN, w), labels).total.item() for w in written]
        assert scores == sorted(scores)
        assert len(scores) == 1 or scores[-1] > scores[0]


@settings(max_examples=25)
@given(labels=label_rows(PLAIN, rows=3, length=12), seed=st.integers(0, 10**6))
@pytest.mark.parametrize("make", exported_losses())
def test_finite_connected_gradient(make, labels, seed):
    loss = make()
    total, grad = value_and_gradient(loss, random_logits((*labels.shape, V), seed), labels)
    assert total.isfinite()
    assert total >= 0
    assert grad.isfinite().all()
    supervised = loss.spans(labels).is_number
    assert not grad[~supervised].any()
    if supervised.any() and not isinstance(loss, NTLNumber):  # as published: |ŷ−y|/(ŷ+y) is flat at y = 0
        assert grad[supervised][:, DIGIT_COLUMNS].any()


@pytest.mark.parametrize(
    "labels",
    [
        batch(".,-", "e"),
        batch([None] * 3, [None]),
        torch.zeros(2, 0, dtype=torch.int64),
        torch.zeros(0, 3, dtype=torch.int64),
    ],
    ids=["no digits", "all masked", "no positions", "no samples"],
)
@pytest.mark.parametrize("dtype", HALF_AND_SINGLE, ids=str)
def test_nothing_to_learn_is_a_connected_zero(loss, labels, dtype):
    logits = random_logits((*labels.shape, V), 0).to(dtype)
    total, grad = value_and_gradient(loss, logits, labels)
    assert total == 0
    assert grad.shape == logits.shape
    assert not grad.any()


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_matter(loss, side):
    logits, noise = random_logits((len(LABELS), LABELS.shape[1], V), 0), random_logits((len(LABELS), 5, V), 1)
    masked = torch.full((len(LABELS), 5), -100)
    total, grad = value_and_gradient(loss, logits, LABELS)
    order = (lambda a, b: [b, a]) if side == "left" else (lambda a, b: [a, b])
    padded = value_and_gradient(loss, torch.cat(order(logits, noise), 1), torch.cat(order(LABELS, masked), 1))
    torch.testing.assert_close(padded[0], total)
    torch.testing.assert_close(padded[1], torch.cat(order(grad, torch.zeros_like(noise)), 1))


def test_batch_is_the_mean_of_its_halves(loss):
    # Both halves hold as many digits and numbers, so means over tokens, numbers or samples all pass.
    labels = batch("12.7,3", "9", "45.0-8", "6")
    logits = random_logits((*labels.shape, V), 0)
    whole, grad = value_and_gradient(loss, logits, labels)
    (first, grad_1), (second, grad_2) = (
        value_and_gradient(loss, logits[h], labels[h]) for h in (slice(2), slice(2, 4))
    )
    torch.testing.assert_close(whole, (first + second) / 2)
    torch.testing.assert_close(grad, torch.cat([grad_1, grad_2]) / 2)


def test_order_of_the_samples_does_not_matter(loss):
    logits, order = random_logits((len(LABELS), LABELS.shape[1], V), 0), torch.tensor([2, 0, 3, 1])
    total, grad = value_and_gradient(loss, logits, LABELS)
    shuffled = value_and_gradient(loss, logits[order], LABELS[order])
    torch.testing.assert_close(shuffled[0], total)
    torch.testing.assert_close(shuffled[1], grad[order])


@pytest.mark.parametrize("dtype", HALF_AND_SINGLE, ids=str)
@pytest.mark.parametrize("n", [60, 400])
@pytest.mark.parametrize(
    ("target", "written"), [("7", "random"), ("1", "zeros"), ("0", "nines"), ("7", "truth"), ("0", "random")]
)
def test_long_numbers_stay_finite(loss, n, dtype, written, target):
    target += "0" * (n - 1)
    labels = batch(target, "3.5")
    if written == "random":
        logits = random_logits((*labels.shape, V), n).detach()
    else:
        row = {"zeros": "0" * n, "nines": "9" * n, "truth": target}[written]
        logits = torch.cat([certain(PLAIN, row, sure=6.0), random_logits((1, n, V), n).detach()])
    total, grad = value_and_gradient(loss, logits.to(dtype), labels)
    assert total.isfinite()
    assert grad.isfinite().all()
    assert grad.any()


@pytest.mark.parametrize("dtype", HALF_AND_SINGLE, ids=str)
@pytest.mark.parametrize("forbidden", [False, True], ids=["", "one digit ruled out"])
def test_extreme_logits_stay_finite(loss, dtype, forbidden):
    logits = (random_logits((*LABELS.shape, V), 0) * 1e4).clamp(-6e4, 6e4).detach().to(dtype)
    if forbidden:
        assert PLAIN.index("6") not in LABELS
        logits[..., PLAIN.index("6")] = -torch.inf
    total, grad = value_and_gradient(loss, logits, LABELS)
    assert total.isfinite()
    assert grad.isfinite().all()


def test_logits_wider_than_the_vocabulary(loss):
    logits = random_logits((len(LABELS), LABELS.shape[1], V), 0)
    total, grad = value_and_gradient(loss, logits, LABELS)
    padding = random_logits((*LABELS.shape, 7), 1)
    if loss.needs_normaliser:  # the padding is part of the softmax, as in cross-entropy
        padding = padding - torch.inf
    wide = value_and_gradient(loss, torch.cat([logits, padding], -1), LABELS)
    torch.testing.assert_close(wide[0], total)
    torch.testing.assert_close(wide[1], torch.nn.functional.pad(grad, (0, 7)))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.zeros(2, 3, V), torch.zeros(2, 4, dtype=torch.int64), "B, T"),
        (torch.zeros(2, 3, V), torch.zeros(6, dtype=torch.int64), "B, T"),
        (torch.zeros(6, V), torch.zeros(6, dtype=torch.int64), "B, T"),
        (torch.zeros(2, 3, V, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.int64), "floating"),
        (torch.zeros(2, 3, 5), torch.zeros(2, 3, dtype=torch.int64), "5 wide"),
    ],
    ids=["lengths differ", "flat labels", "flat logits", "integer logits", "logits too narrow"],
)
def test_wrong_input_is_a_clear_error(loss, logits, labels, message):
    with pytest.raises(ValueError, match=message):
        loss(logits, labels)


@pytest.mark.parametrize("taken", ["ce", "number", "total", "digits", "loss", "grad_norm", "step"])
def test_a_term_is_not_called_what_logs_and_parts_have(taken):
    class Toy(NumberLoss):
        names = ("mine", taken)

    with pytest.raises(ValueError, match=f"Toy calls a term '{taken}'"):
        Toy(VOCAB)


def test_a_term_that_would_be_logged_nowhere_is_an_error():
    class Toy(SMMD):
        def terms(self, columns, spans, normaliser):
            (term,) = super().terms(columns, spans, normaliser).values()
            return {"mine": term}

    with pytest.raises(ValueError, match="returns 'mine', which Toy"):
        Toy(VOCAB)(random_logits((*LABELS.shape, V), 0), LABELS)


def test_terms_have_names_of_their_own(loss):
    """Losses that are logged side by side share a name only where they share the term."""
    shared = {"emd", "relative", "magnitude"}
    others = [make.values[0]() for make in exported_losses()]
    for other in others:
        if type(other) is not type(loss):
            assert set(other.names) & set(loss.names) <= shared


def test_non_contiguous_logits(loss):
    logits = random_logits((len(LABELS), LABELS.shape[1], V), 0).detach()
    strided = logits.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert not strided.is_contiguous()
    expected, found = value_and_gradient(loss, logits, LABELS), value_and_gradient(loss, strided, LABELS)
    torch.testing.assert_close(found, expected)


def test_logits_and_labels_are_left_as_they_were(loss):
    logits, labels = random_logits((len(LABELS), LABELS.shape[1], V), 0), LABELS.clone()
    before = logits.detach().clone()
    loss(logits, labels).total.backward()
    assert torch.equal(logits, before)
    assert torch.equal(labels, LABELS)


def test_deterministic(loss):
    logits = random_logits((len(LABELS), LABELS.shape[1], V), 0)
    first, again = (value_and_gradient(loss, logits, LABELS) for _ in range(2))
    torch.testing.assert_close(again, first, rtol=0, atol=0)


def test_no_parameters_and_nothing_in_the_state_dict(loss):
    assert isinstance(loss, nn.Module)
    assert not list(loss.parameters())
    assert not loss.state_dict()


def test_parts_sum_up_the_batch(loss):
    parts = loss(random_logits((len(LABELS), LABELS.shape[1], V), 0), LABELS)
    assert parts.total.shape == ()
    assert all(term.shape == () for term in parts.terms.values())
    assert int(parts.digits) == 6 + 3 + 3 + 0
    assert int(parts.numbers) == (7 if loss.number_format == "decimal" else 8)
    with pytest.raises(AttributeError, match="no part 'emmd'"):
        _ = parts.emmd


def test_deep_copy_works(loss):
    logits = random_logits((len(LABELS), LABELS.shape[1], V), 0)
    torch.testing.assert_close(copy.deepcopy(loss)(logits, LABELS).total, loss(logits, LABELS).total)


@pytest.mark.parametrize("with_ce", [False, True], ids=["alone", "with ce"])
def test_forward_and_backward_read_nothing_back(loss, with_ce):
    """Tensors on the `meta` device have no data, so a host read (.item(), nonzero, a mask index, `if tensor`) raises."""
    logits = torch.empty(*LABELS.shape, V, device="meta", requires_grad=True)
    full = WithCrossEntropy(loss, ce_on_digits=False) if with_ce else lambda *x: loss(*x).total
    full(logits, LABELS.to("meta")).backward()
    assert logits.grad.shape == logits.shape


def compiled_equals_eager(loss, backend):
    torch.compiler.reset()
    full = WithCrossEntropy(loss)
    compiled = torch.compile(lambda logits, labels: full(logits, labels), fullgraph=True, backend=backend)
    for seed in (0, 1):
        logits = random_logits((len(LABELS), LABELS.shape[1], V), seed, dtype=torch.float32)
        eager, ours = full(logits, LABELS), compiled(logits, LABELS)
        torch.testing.assert_close(ours, eager)
        torch.testing.assert_close(gradient(ours, logits), gradient(eager, logits), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [p for p in exported_losses() if p.id.startswith(("NTIL", "EMD-digits"))])
def test_compiles_to_one_graph(make):
    compiled_equals_eager(make(), "aot_eager")


@pytest.mark.slow
def test_every_loss_compiles_to_one_graph(loss):
    compiled_equals_eager(loss, "aot_eager")


@pytest.mark.slow
def test_compiles_with_inductor(loss):
    compiled_equals_eager(loss, "inductor")
