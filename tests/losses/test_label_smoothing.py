"""Label smoothing against its definition and against torch, on logits and from hidden states."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from oracles.cases import PLAIN, encode, gradient, label_rows, random_logits
from oracles.whole_loops import label_smoothing

from ntil.losses import EMD, CrossEntropy, LabelSmoothing, build_loss
from ntil.numbers import NumberVocab

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 2e-3}


@given(
    labels=label_rows(PLAIN, rows=3, length=7),
    seed=st.integers(0, 10**6),
    epsilon=st.sampled_from([0.0, 0.1, 0.5]),
    dtype=st.sampled_from(list(TOLERANCE)),
)
def test_equals_the_loops(labels, seed, epsilon, dtype):
    logits = random_logits((*labels.shape, len(PLAIN)), seed, dtype)
    wide = logits.detach().double().requires_grad_()
    ours, theirs = LabelSmoothing(epsilon)(logits, labels), label_smoothing(wide, labels, epsilon)
    torch.testing.assert_close(ours.double(), theirs, rtol=2e-5, atol=2e-6)
    rtol = TOLERANCE[dtype]
    torch.testing.assert_close(
        gradient(ours, logits).double(), gradient(theirs, wide), rtol=rtol, atol=rtol / 10
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_equals_torch(reduction):
    labels, logits = encode(PLAIN, ["1", None, "the", "7"]), random_logits((1, 4, len(PLAIN)), 0)
    theirs = F.cross_entropy(logits[0], labels[0], label_smoothing=0.2, reduction=reduction)
    ours = LabelSmoothing(0.2)(logits, labels, reduction=reduction)
    torch.testing.assert_close(ours.reshape(theirs.shape), theirs)


def test_without_epsilon_it_is_cross_entropy_and_the_parts_are_both():
    labels, logits = encode(PLAIN, "3.5,7"), random_logits((1, 5, len(PLAIN)), 0)
    weights = torch.rand(1, 5, dtype=torch.float64)
    ce = CrossEntropy()(logits, labels, label_weights=weights)
    torch.testing.assert_close(LabelSmoothing(0.0)(logits, labels, label_weights=weights), ce)
    parts = LabelSmoothing(0.25).parts(logits, labels, label_weights=weights)
    torch.testing.assert_close(parts.ce, ce)
    torch.testing.assert_close(parts.total, 0.75 * parts.ce + 0.25 * parts.uniform)


def test_of_samples_are_the_samples_alone():
    labels = torch.cat([encode(PLAIN, "3.5,7"), encode(PLAIN, ["1", "2", None, None, None])])
    logits, loss = random_logits((2, 5, len(PLAIN)), 0), LabelSmoothing(0.1)
    alone = [loss(logits[i : i + 1], labels[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(loss.of_samples(logits, labels), torch.stack(alone))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_masked_positions_reach_neither_value_nor_gradient(bad):
    labels, clean = encode(PLAIN, ["1", None, "7"]), random_logits((1, 3, len(PLAIN)), 0).detach()
    dirty = clean.clone()
    dirty[0, 1] = bad
    clean, dirty = clean.requires_grad_(), dirty.requires_grad_()
    values = [LabelSmoothing(0.1)(z, labels) for z in (clean, dirty)]
    assert values[0] == values[1]
    slope = gradient(values[1], dirty)
    assert torch.equal(slope, gradient(values[0], clean))
    assert not slope[0, 1].any()


def test_nothing_to_learn_is_a_connected_zero():
    logits = random_logits((2, 3, len(PLAIN)), 0)
    total = LabelSmoothing(0.1)(logits, torch.full((2, 3), -100))
    assert total == 0
    assert not gradient(total, logits).any()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_from_hidden_states_it_is_that_of_the_logits(bias, weighted):
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(shape, generator=generator).requires_grad_()

    hidden, W, b = drawn(2, 5, 6), drawn(len(PLAIN), 6), drawn(len(PLAIN)) if bias else None
    labels = torch.cat([encode(PLAIN, "3.5,7"), encode(PLAIN, ["1", None, "the", "2", None])])
    weights = torch.rand((2, 5), generator=generator) if weighted else None
    loss, inputs = LabelSmoothing(0.3), [hidden, W, *([b] if bias else [])]
    parts = loss.parts_from_hidden(hidden, W, labels, head_bias=b, logit_scale=0.7, label_weights=weights)
    full = loss.parts(0.7 * F.linear(hidden, W, b), labels, label_weights=weights)
    for name in ("total", "ce", "uniform"):
        torch.testing.assert_close(getattr(parts, name), getattr(full, name))
    ours, theirs = (torch.autograd.grad(p.total, inputs) for p in (parts, full))
    torch.testing.assert_close(ours, theirs)


def test_a_softcap_is_refused():
    with pytest.raises(ValueError, match="softcap"):
        LabelSmoothing().from_hidden(
            torch.zeros(1, 2, 3), torch.zeros(4, 3), torch.zeros(1, 2, dtype=torch.int64), softcap=30.0
        )


@pytest.mark.parametrize("epsilon", [-0.1, 1.0, float("nan")])
def test_a_share_beyond_its_range_is_an_error(epsilon):
    with pytest.raises(ValueError, match="epsilon"):
        LabelSmoothing(epsilon)


def test_build_loss_takes_it_for_cross_entropy_alone():
    vocab = NumberVocab.from_texts(PLAIN)
    assert build_loss(vocab, label_smoothing=0.1).epsilon == 0.1
    assert type(build_loss(vocab)) is CrossEntropy
    with pytest.raises(ValueError, match="label_smoothing"):
        build_loss(vocab, EMD, label_smoothing=0.1)


def test_compiles_to_one_graph():
    labels, logits = encode(PLAIN, "3.5,7"), random_logits((1, 5, len(PLAIN)), 0, torch.float32)
    torch.compiler.reset()
    compiled = torch.compile(LabelSmoothing(0.1), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(logits, labels), LabelSmoothing(0.1)(logits, labels))
