"""What the logits hold at masked positions reaches neither value nor gradient; what they hold elsewhere is not hidden."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.cases import MARKED, PLAIN, VOCABULARIES, encode, label_rows, random_logits
from test_contract import exported_losses

from ntil.losses import EMD, NTIL, CrossEntropy, GaussianCE, WithCrossEntropy
from ntil.numbers import NumberVocab

V = len(PLAIN)
VOCAB = NumberVocab.from_texts(PLAIN)
LABELS = encode(PLAIN, [None, *"0.98", None, "7", None, "the", "1", "2", None]).repeat(2, 1)
LABELS[1, 3:9] = -100
POISON = {
    "nan": [torch.nan],
    "inf": [torch.inf],
    "-inf": [-torch.inf],
    "all": [torch.nan, torch.inf, -torch.inf],
}
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def poisoned(tensor, labels, values, seed=0):
    """A copy with some (and in one row all) entries of masked rows replaced."""
    tensor = tensor.detach().clone()
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(tensor.shape, generator=generator) < 0.3
    chosen[..., 0] = True
    chosen[..., 1, :] = True
    drawn = torch.tensor(values, dtype=tensor.dtype)[
        torch.randint(len(values), tensor.shape, generator=generator)
    ]
    return torch.where(chosen & (labels < 0).unsqueeze(-1), drawn, tensor).requires_grad_()


def full_losses():
    """[make] with an id: cross-entropy and combinations on every path."""
    made = [pytest.param(CrossEntropy, id="ce")]
    for fused in (True, False):
        for balance in ("ce_ratio", "none", "digit_share"):
            for ce_on_digits in (True, False):

                def make(fused=fused, balance=balance, ce_on_digits=ce_on_digits):
                    number = NTIL(VOCAB, noise_scale=0.0)
                    return WithCrossEntropy(number, balance=balance, ce_on_digits=ce_on_digits, fused=fused)

                kind = f"{'fused' if fused else 'plain'}-{balance}-{'on' if ce_on_digits else 'off'}"
                made.append(pytest.param(make, id=kind))
    made.append(
        pytest.param(lambda: WithCrossEntropy(GaussianCE(VOCAB), balance="digit_share"), id="gaussian")
    )
    return made


def check(loss, clean, dirty, labels):
    """`loss` of the two is the same, bit for bit, and its gradient 0 where labels are masked."""
    values, gradients = [], []
    for logits in (clean, dirty):
        leaf = logits.detach().clone().requires_grad_()
        total = loss(leaf, labels)
        total.sum().backward()
        values.append(total.detach())
        gradients.append(leaf.grad)
    assert values[0].isfinite().all()
    assert torch.equal(*values)
    assert torch.equal(*gradients)
    assert (gradients[1][labels < 0] == 0).all()
    assert gradients[1].any()


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("make", exported_losses())
def test_number_losses(make, dtype, poison):
    clean = random_logits((*LABELS.shape, V), 0, dtype)
    loss = make()
    check(lambda z, y: loss(z, y).total, clean, poisoned(clean, LABELS, POISON[poison]), LABELS)


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("make", full_losses())
def test_full_losses(make, dtype, poison):
    clean = random_logits((*LABELS.shape, V), 0, dtype)
    check(make(), clean, poisoned(clean, LABELS, POISON[poison]), LABELS)


@pytest.mark.parametrize("reduction", ["sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_reductions_and_label_weights(reduction, weighted):
    clean = random_logits((*LABELS.shape, V), 0, torch.float32)
    dirty = poisoned(clean, LABELS, POISON["all"])
    weights = torch.rand(LABELS.shape).masked_fill(LABELS < 0, torch.nan) if weighted else None
    for loss in (CrossEntropy(), WithCrossEntropy(EMD(VOCAB), balance="none")):
        check(
            lambda z, y, loss=loss: loss(z, y, label_weights=weights, reduction=reduction),
            clean,
            dirty,
            LABELS,
        )


@pytest.mark.parametrize("make", [*full_losses()])
def test_label_weights_at_masked_positions_do_not_count(make):
    loss, logits = make(), random_logits((*LABELS.shape, V), 0, torch.float32)
    weights = torch.rand(LABELS.shape)
    odd = weights.masked_fill(LABELS < 0, torch.inf)
    assert torch.equal(loss(logits, LABELS, label_weights=odd), loss(logits, LABELS, label_weights=weights))


@pytest.mark.parametrize("name", VOCABULARIES)
@settings(max_examples=20)
@given(data=st.data())
def test_any_labels_of_any_vocabulary(name, data):
    texts = VOCABULARIES[name]
    labels = data.draw(label_rows(texts))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
    clean = random_logits((*labels.shape, len(texts)), data.draw(st.integers(0, 10**6)), dtype).detach()
    dirty = clean.masked_fill((labels < 0).unsqueeze(-1), data.draw(st.sampled_from(POISON["all"])))
    loss = WithCrossEntropy(
        NTIL(NumberVocab.from_texts(texts), noise_scale=0.0), fused=data.draw(st.booleans())
    )
    found = []
    for logits in (clean, dirty):
        leaf = logits.clone().requires_grad_()
        total = loss(leaf, labels)
        total.backward()
        found.append((total.detach(), leaf.grad))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)


def test_signs_and_exponents():
    loss = NTIL(NumberVocab.from_texts(MARKED), noise_scale=0.0, magnitude="signed", number_format="decimal")
    labels = encode(MARKED, [None, "-", "6", ".", "0", "e", "2", None, "5"])
    clean = random_logits((*labels.shape, len(MARKED)), 0)
    check(lambda z, y: loss(z, y).total, clean, poisoned(clean, labels, POISON["all"]), labels)


def test_gumbel_noise_is_the_same_beside_masked_positions():
    loss = NTIL(VOCAB)
    clean = random_logits((*LABELS.shape, V), 0)

    def seeded(logits, labels):
        torch.manual_seed(3)
        return loss(logits, labels).total

    check(seeded, clean, poisoned(clean, LABELS, POISON["all"]), LABELS)


def test_overwritten_logits():
    clean = random_logits((*LABELS.shape, V), 0, torch.float32)
    found = []
    for logits in (clean, poisoned(clean, LABELS, POISON["all"])):
        leaf = logits.detach().clone().requires_grad_()
        loss = WithCrossEntropy(NTIL(VOCAB, noise_scale=0.0), overwrite_logits=True)
        loss(leaf * 1.0, LABELS).backward()
        found.append(leaf.grad)
    assert torch.equal(*found)


@pytest.mark.parametrize("make", full_losses())
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("at", ["word", "digit"])
def test_elsewhere_it_is_not_hidden(make, bad, at):
    t = 8 if at == "word" else 6
    assert LABELS[0, t] == PLAIN.index("the" if at == "word" else "7")
    logits = random_logits((*LABELS.shape, V), 0, torch.float32).detach()
    logits[0, t, 3] = bad
    total = make()(logits.requires_grad_(), LABELS)
    total.backward()
    assert not total.isfinite()
    assert not logits.grad[0, t].isfinite().all()
    assert (logits.grad[LABELS < 0] == 0).all() or not total.isfinite()


@pytest.mark.parametrize("make", exported_losses())
def test_elsewhere_number_losses_do_not_hide_it(make):
    logits = random_logits((*LABELS.shape, V), 0).detach()
    logits[0, 6] = torch.nan
    assert make()(logits, LABELS).total.isnan()


@pytest.mark.parametrize("kind", ["ce", "ntil", "gaussian"])
def test_compiled(kind):
    torch.compiler.reset()
    loss = {
        "ce": CrossEntropy,
        "ntil": lambda: WithCrossEntropy(NTIL(VOCAB, noise_scale=0.0)),
        "gaussian": lambda: WithCrossEntropy(GaussianCE(VOCAB)),
    }[kind]()
    compiled = torch.compile(lambda z, y: loss(z, y), fullgraph=True, backend="aot_eager")
    clean = random_logits((*LABELS.shape, V), 0, torch.float32)
    check(compiled, clean, poisoned(clean, LABELS, POISON["all"]), LABELS)


def hidden_inputs(labels, bias=True, dtype=torch.float32, width=6):
    generator = torch.Generator().manual_seed(1)
    shapes = [(*labels.shape, width), (V, width), *([(V,)] if bias else [])]
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("options", [{}, {"logit_scale": 0.5, "softcap": 3.0}], ids=["plain", "capped"])
@pytest.mark.parametrize("make", [p for p in full_losses() if p.id == "ce" or p.id.startswith("fused")])
def test_hidden_states(make, options, dtype, poison):
    loss = make()
    clean, *head = hidden_inputs(LABELS, dtype=dtype)
    found = []
    for hidden in (clean, poisoned(clean, LABELS, POISON[poison])):
        leaves = [x.detach().clone().requires_grad_() for x in (hidden, *head)]
        total = loss.from_hidden(leaves[0], leaves[1], LABELS, head_bias=leaves[2], **options)
        total.backward()
        found.append((total.detach(), *(leaf.grad for leaf in leaves)))
    for one, other in zip(*found, strict=True):
        assert one.isfinite().all()
        assert torch.equal(one, other)
    assert (found[1][1][LABELS < 0] == 0).all()


@pytest.mark.parametrize("at", [6, 8], ids=["digit", "word"])
@pytest.mark.parametrize("make", [p for p in full_losses() if p.id == "ce" or p.id.startswith("fused")])
def test_hidden_states_elsewhere_are_not_hidden(make, at):
    hidden, weight, _ = hidden_inputs(LABELS)
    hidden[0, at, 2] = torch.nan
    hidden.requires_grad_()
    total = make().from_hidden(hidden, weight, LABELS)
    total.backward()
    assert total.isnan()
    assert hidden.grad[0, at].isnan().any()
