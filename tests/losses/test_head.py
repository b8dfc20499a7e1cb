"""From hidden states with the heads that published models have, in mixed precision, against their full logits."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.cases import PLAIN, VOCABULARIES, encode, label_rows

import ntil.losses.fused_linear as fused_linear_module
from ntil.losses import EMD, NTIL, CrossEntropy, WithCrossEntropy
from ntil.numbers import NumberVocab

H, V = 6, len(PLAIN)
LABELS = encode(PLAIN, [None, *"0.98", "7", None, "the"]).repeat(3, 1)
HEADS = {
    "plain": {},
    "gemma": {"softcap": 3.0},
    "cohere": {"logit_scale": 0.0625},
    "granite": {"logit_scale": 1 / 8},
    "both": {"logit_scale": 2.5, "softcap": 1.5},
    "negative": {"logit_scale": -1.0},
}


def full_logits(hidden, weight, bias, logit_scale=1.0, softcap=None):
    """In plain torch, one step after the other."""
    logits = logit_scale * (hidden @ weight.T + (0 if bias is None else bias))
    return logits if softcap is None else softcap * torch.tanh(logits / softcap)


def losses():
    number = NTIL(NumberVocab.from_texts(PLAIN), noise_scale=0.0)
    return {
        "ce": CrossEntropy(),
        "ratio": WithCrossEntropy(number),
        "none": WithCrossEntropy(number, balance="none", ce_on_digits=False),
        "share": WithCrossEntropy(number, balance="digit_share", ce_on_digits=False),
    }


def inputs(labels, texts=PLAIN, seed=0, bias=True, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(*labels.shape, H), (len(texts), H), *([(len(texts),)] if bias else [])]
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def value_and_gradients(call, tensors, factor=1.0):
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    total = call(*leaves, *[None] * (3 - len(leaves)))
    (total * factor).backward()
    return total.detach(), [leaf.grad for leaf in leaves]


def both_ways(loss, labels, options, **more):
    return (
        lambda h, w, b: loss.from_hidden(h, w, labels, head_bias=b, **options, **more),
        lambda h, w, b: loss(full_logits(h, w, b, **options), labels, **more),
    )


@pytest.mark.parametrize("name", ["ce", "ratio", "none", "share"])
@pytest.mark.parametrize("options", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_values_and_gradients_are_those_of_the_full_logits(name, options, bias, weighted):
    more = {"label_weights": torch.rand(LABELS.shape)} if weighted else {}
    ours, theirs = both_ways(losses()[name], LABELS, options, **more)
    tensors = inputs(LABELS, bias=bias)
    torch.testing.assert_close(
        value_and_gradients(ours, tensors, 0.7),
        value_and_gradients(theirs, tensors, 0.7),
        rtol=1e-4,
        atol=2e-6,
    )


@pytest.mark.parametrize("name", VOCABULARIES)
@settings(max_examples=15)
@given(data=st.data())
def test_any_head_and_labels(name, data):
    texts = VOCABULARIES[name]
    labels = data.draw(label_rows(texts))
    options = {
        "logit_scale": data.draw(st.floats(0.05, 4.0)),
        "softcap": data.draw(st.none() | st.floats(0.5, 40.0)),
    }
    loss = WithCrossEntropy(
        EMD(NumberVocab.from_texts(texts)), balance=data.draw(st.sampled_from(["none", "ce_ratio"]))
    )
    ours, theirs = both_ways(loss, labels, options)
    tensors = inputs(labels, texts, data.draw(st.integers(0, 10**6)), data.draw(st.booleans()))
    torch.testing.assert_close(
        value_and_gradients(ours, tensors), value_and_gradients(theirs, tensors), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("rows", [1, 5, 1000])
def test_chunks_change_nothing(rows, monkeypatch):
    monkeypatch.setattr(fused_linear_module, "ROWS", rows)
    monkeypatch.setattr(fused_linear_module, "BLOCK", 0)
    for loss in losses().values():
        ours, theirs = both_ways(loss, LABELS, HEADS["both"])
        tensors = inputs(LABELS)
        torch.testing.assert_close(
            value_and_gradients(ours, tensors), value_and_gradients(theirs, tensors), rtol=1e-4, atol=2e-6
        )


def test_a_frozen_head_and_no_gradient_at_all():
    hidden, weight, bias = inputs(LABELS)
    loss = losses()["ratio"]
    hidden.requires_grad_()
    total = loss.from_hidden(hidden, weight, LABELS, head_bias=bias, **HEADS["both"])
    total.backward()
    assert hidden.grad.any()
    assert weight.grad is None
    with torch.no_grad():
        again = loss.from_hidden(hidden, weight, LABELS, head_bias=bias, **HEADS["both"])
    torch.testing.assert_close(again, total.detach())


HALVES = [torch.bfloat16, torch.float16]
MIXTURES = [
    *((a, b, b) for a in (torch.float32, *HALVES) for b in (torch.float32, *HALVES) if a != b),
    (torch.bfloat16, torch.bfloat16, torch.float32),
    (torch.float16, torch.float16, torch.float16),
    (torch.bfloat16, torch.bfloat16, torch.bfloat16),
]


@pytest.mark.parametrize("dtypes", MIXTURES, ids=str)
@pytest.mark.parametrize("options", [HEADS["plain"], HEADS["both"]], ids=["plain", "both"])
@pytest.mark.parametrize("name", ["ce", "ratio"])
def test_precisions_may_be_mixed(name, options, dtypes):
    tensors = [x.to(dtype) for x, dtype in zip(inputs(LABELS), dtypes, strict=True)]
    ours, theirs = both_ways(losses()[name], LABELS, options)
    total, gradients = value_and_gradients(ours, tensors)
    expected, exact = value_and_gradients(theirs, [x.float() for x in tensors])
    rough = dtypes[:2] == (torch.bfloat16, torch.bfloat16)
    assert total.dtype == torch.float32
    torch.testing.assert_close(total, expected, rtol=0.02 if rough else 1e-5, atol=0.02 if rough else 1e-5)
    for gradient, reference, dtype in zip(gradients, exact, dtypes, strict=True):
        assert gradient.dtype == dtype
        tolerance = 0.1 if rough else {torch.float32: 1e-4}.get(dtype, 0.01)
        torch.testing.assert_close(gradient.float(), reference, rtol=tolerance, atol=0.02 if rough else 1e-3)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("options", [HEADS["plain"], HEADS["both"]], ids=["plain", "both"])
@pytest.mark.parametrize(
    "given_dtypes", [(torch.float32,) * 3, (torch.bfloat16, torch.float32, torch.float32)], ids=str
)
def test_under_autocast(dtype, options, given_dtypes):
    tensors = [x.to(kind) for x, kind in zip(inputs(LABELS), given_dtypes, strict=True)]
    ours, theirs = both_ways(losses()["ratio"], LABELS, options)
    with torch.autocast("cpu", dtype):
        total, gradients = value_and_gradients(ours, tensors)
    expected, exact = value_and_gradients(theirs, [x.float() for x in tensors])
    torch.testing.assert_close(total, expected, rtol=0.02, atol=0.02)
    for gradient, reference, kind in zip(gradients, exact, given_dtypes, strict=True):
        assert gradient.dtype == kind
        torch.testing.assert_close(gradient.float(), reference, rtol=0.1, atol=0.03)


@pytest.mark.parametrize("loss", losses().values(), ids=losses())
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"head_weight": torch.zeros(V, H + 1)}, rf"\[3, 8, {H}\] and \[{V}, {H + 1}\]"),
        ({"head_weight": torch.zeros(V)}, rf"head_weight \[V, H\]; got .*\[{V}\]"),
        ({"head_bias": torch.zeros(V - 1)}, rf"head_bias \[V\]; got \[{V}, {H}\] and \[{V - 1}\]"),
        ({"head_weight": torch.zeros(V, H, dtype=torch.float64)}, "head_weight is torch.float64"),
        ({"head_weight": torch.zeros(V, H, dtype=torch.int64)}, "head_weight is torch.int64"),
        ({"head_bias": torch.zeros(V, dtype=torch.float64)}, "head_bias is torch.float64"),
        ({"hidden": torch.zeros(3, 8, H, dtype=torch.float64)}, "hidden is torch.float64"),
        ({"softcap": 0.0}, "softcap must be positive"),
        ({"softcap": -30.0}, "softcap must be positive"),
        ({"softcap": math.nan}, "softcap must be positive"),
        ({"logit_scale": 0.0}, "logit_scale must be a finite number"),
        ({"logit_scale": math.nan}, "logit_scale must be a finite number"),
    ],
    ids=str,
)
def test_heads_that_do_not_fit_are_refused(loss, change, said):
    arguments = {"hidden": torch.zeros(3, 8, H), "head_weight": torch.zeros(V, H), "labels": LABELS}
    with pytest.raises(ValueError, match=said):
        loss.from_hidden(**{**arguments, **change})


def test_a_head_that_is_too_narrow_is_refused():
    with pytest.raises(ValueError, match="5 wide"):
        losses()["ratio"].from_hidden(torch.zeros(3, 8, H), torch.zeros(5, H), LABELS)


SIZES = {
    "vocab_size": V,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
}


def published(name):
    """(a small model of a published family, what its head has beside the weight, read from its configuration)."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    if name == "gemma2":
        config = transformers.Gemma2Config(**SIZES, head_dim=8, final_logit_softcapping=2.0)
        return transformers.Gemma2ForCausalLM(config), {"softcap": config.final_logit_softcapping}
    if name == "cohere":
        config = transformers.CohereConfig(**SIZES, logit_scale=0.25)
        return transformers.CohereForCausalLM(config), {"logit_scale": config.logit_scale}
    if name == "granite":
        config = transformers.GraniteConfig(**SIZES, logits_scaling=4.0)
        return transformers.GraniteForCausalLM(config), {"logit_scale": 1 / config.logits_scaling}
    if name == "minicpm3":
        config = transformers.MiniCPM3Config(
            **SIZES,
            dim_model_base=4,
            q_lora_rank=8,
            kv_lora_rank=8,
            qk_nope_head_dim=4,
            qk_rope_head_dim=4,
            v_head_dim=8,
        )
        return transformers.MiniCPM3ForCausalLM(config), {
            "logit_scale": config.dim_model_base / config.hidden_size
        }
    config = transformers.PhiConfig(**{**SIZES, "partial_rotary_factor": 0.5})
    return transformers.PhiForCausalLM(config), {}


@pytest.mark.parametrize("name", ["gemma2", "cohere", "granite", "minicpm3", "phi"])
def test_the_heads_of_published_models(name):
    model, options = published(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    head = model.get_output_embeddings()
    assert (head.bias is not None) == (name == "phi")
    ids = LABELS.clamp(min=1)
    gradients, totals = [], []
    for loss in (losses()["ratio"],):
        for way in ("logits", "hidden"):
            model.zero_grad()
            if way == "logits":
                total = loss(model(ids).logits, LABELS)
            else:
                hidden = model.model(ids).last_hidden_state
                total = loss.from_hidden(hidden, head.weight, LABELS, head_bias=head.bias, **options)
            total.backward()
            totals.append(total.detach())
            gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(totals[1], totals[0])
    assert any(n.startswith("lm_head") for n in gradients[0])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)
    if options:
        plain = losses()["ratio"].from_hidden(model.model(ids).last_hidden_state, head.weight, LABELS)
        assert not torch.allclose(plain, totals[0]), "without its scale or cap it is another loss"


def test_cross_entropy_from_hidden_states_is_that_of_torch():
    hidden, weight, bias = inputs(LABELS)
    expected = F.cross_entropy(F.linear(hidden, weight, bias).flatten(0, 1), LABELS.flatten())
    torch.testing.assert_close(CrossEntropy().from_hidden(hidden, weight, LABELS, head_bias=bias), expected)
