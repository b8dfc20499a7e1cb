"""What is given to a loss: shapes and types are taken or refused alike on every path."""

import pytest
import torch
from oracles.cases import PLAIN, encode, random_logits
from test_contract import exported_losses

from ntil.losses import NTIL, CrossEntropy, GaussianCE, WithCrossEntropy
from ntil.numbers import NumberVocab

V, H = len(PLAIN), 6
VOCAB = NumberVocab.from_texts(PLAIN)
LABELS = encode(PLAIN, [None, *"0.98", "7", None, "the"]).repeat(2, 1)
B, T = LABELS.shape
SIGNED = [torch.int8, torch.int16, torch.int32, torch.int64]
REFUSED = [torch.uint8, torch.uint16, torch.bool, torch.float32, torch.float64]


def paths():
    """(inputs of width V or H, loss of inputs and labels) for every way in."""

    def ntil(**options):
        return WithCrossEntropy(NTIL(VOCAB, noise_scale=0.0), **options)

    def hidden(loss):
        head = torch.randn(V, H, generator=torch.Generator().manual_seed(0))
        return lambda x, y, **options: loss.from_hidden(x, head, y, **options)

    found = [pytest.param(V, ntil(), id="fused"), pytest.param(V, ntil(fused=False), id="plain")]
    found += [pytest.param(V, CrossEntropy(), id="ce"), pytest.param(H, hidden(ntil()), id="hidden")]
    found += [pytest.param(H, hidden(CrossEntropy()), id="ce-hidden")]
    found += [pytest.param(V, WithCrossEntropy(GaussianCE(VOCAB)), id="gaussian")]
    for loss in exported_losses():
        made = loss.values[0]()
        found.append(
            pytest.param(V, lambda x, y, made=made, **options: made(x, y, **options).total, id=loss.id)
        )
    return found


@pytest.mark.parametrize(("width", "loss"), paths())
@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        ((B, T), (B, T + 1)),
        ((B, T), (T, B)),
        ((B, T), (B * T,)),
        ((B * T,), (B * T,)),
        ((B * T,), (B, T)),
        ((B, T), (B, T, 1)),
        ((B, T), (1, T)),
        ((1, B, T), (1, B, T)),
        ((), ()),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_refused_with_the_shapes(width, loss, scores, labels):
    with pytest.raises(ValueError, match=r"\[B, T\]") as error:
        loss(torch.zeros(*scores, width), torch.zeros(labels, dtype=torch.int64))
    assert str([*scores, width]) in str(error.value)
    assert str([*labels]) in str(error.value)


@pytest.mark.parametrize(("width", "loss"), paths())
@pytest.mark.parametrize("shape", [(B, T + 1), (B * T,), (T, B), (1, T)], ids=str)
def test_label_weights_that_do_not_fit_are_refused(width, loss, shape):
    with pytest.raises(ValueError, match="label_weights") as error:
        loss(torch.zeros(B, T, width), LABELS, label_weights=torch.ones(shape))
    assert str([*shape]) in str(error.value)


@pytest.mark.parametrize(("width", "loss"), paths())
@pytest.mark.parametrize("dtype", SIGNED, ids=str)
def test_signed_labels_of_any_width(width, loss, dtype):
    found = []
    for labels in (LABELS, LABELS.to(dtype)):
        scores = random_logits((B, T, width), 0, torch.float32)
        total = loss(scores, labels)
        total.backward()
        found.append((total.detach(), scores.grad))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)


@pytest.mark.parametrize(("width", "loss"), paths())
@pytest.mark.parametrize("dtype", REFUSED, ids=str)
def test_other_labels_are_refused(width, loss, dtype):
    labels = LABELS.clamp(min=0).to(dtype)
    with pytest.raises(ValueError, match=f"signed integers such as torch.int64, not {dtype}"):
        loss(torch.zeros(B, T, width), labels)


@pytest.mark.parametrize(("width", "loss"), paths())
@pytest.mark.parametrize("dtype", [torch.int64, torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_label_weights_of_any_type(width, loss, dtype):
    weights = torch.tensor([[2, 1, 0, 4, 1, 1, 1, 2]]).repeat(B, 1)
    scores = random_logits((B, T, width), 0, torch.float32)
    expected = loss(scores, LABELS, label_weights=weights.float())
    torch.testing.assert_close(loss(scores, LABELS, label_weights=weights.to(dtype)), expected)


@pytest.mark.parametrize("make", [CrossEntropy, lambda: WithCrossEntropy(NTIL(VOCAB))], ids=["ce", "ntil"])
def test_arguments_have_names(make):
    loss, logits = make(), torch.zeros(B, T, V)
    weights = torch.ones(B, T)
    for call in (loss, loss.parts, NTIL(VOCAB)):
        with pytest.raises(TypeError, match="positional"):
            call(logits, LABELS, weights)
    with pytest.raises(TypeError, match="positional"):
        loss.from_hidden(torch.zeros(B, T, H), torch.zeros(V, H), LABELS, torch.zeros(V))


def test_both_losses_have_the_same_arguments():
    import inspect

    for name in ("forward", "from_hidden", "parts_from_hidden", "parts"):
        ours, theirs = (
            dict(inspect.signature(getattr(cls, name)).parameters) for cls in (WithCrossEntropy, CrossEntropy)
        )
        ours.pop("number_scale", None)
        assert ours == theirs, name
    assert {"head_weight", "label_weights", "head_bias"} <= set(
        inspect.signature(WithCrossEntropy.from_hidden).parameters
    )
    assert "weight" in inspect.signature(WithCrossEntropy).parameters


@pytest.mark.parametrize("reduction", ["avg", "", "MEAN"])
def test_an_unknown_reduction_is_refused(reduction):
    logits = torch.zeros(B, T, V)
    for loss in (CrossEntropy(), WithCrossEntropy(NTIL(VOCAB), balance="none"), NTIL(VOCAB)):
        with pytest.raises(ValueError, match="reduction must be one of"):
            loss(logits, LABELS, reduction=reduction)
