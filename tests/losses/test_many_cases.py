"""Every loss against its loop twin on thousands of made-up vocabularies, label sequences and logits, in every dtype.

The vocabularies are generated too: digits in any order, some with leading spaces, some two- and three-digit strings, ordinals.
10,000 cases run in the slow tier, a few hundred of the same stream by default.
"""

import random
from functools import partial

import pytest
import torch
from oracles import ntil_loops, whole_loops
from oracles import rival_loops as loops
from oracles.cases import OTHER, cut, gradient, random_logits

from ntil.losses import (
    CRPS,
    DEL,
    DIST2,
    EMD,
    NTIL,
    NTLMSE,
    NTLWAS,
    RAFT,
    RPS,
    SMMD,
    GaussianCE,
    NTILAligned,
    NTLNumber,
    SequenceSmoothing,
)
from ntil.numbers import NumberVocab

LONGEST = 6  # digits of a number, beyond which the twins' plain sums lose precision
LONGEST_ENUMERATED = 3
# dtype → (relative tolerance of the value, of the gradient), against float64 on the same rounded logits
TOLERANCE = {
    torch.float64: (2e-6, 2e-6),  # SMMD keeps its kernel in float32
    torch.float32: (2e-5, 1e-4),
    torch.bfloat16: (2e-5, 1e-2),
    torch.float16: (2e-5, 2e-3),
}


def by_token(cls, per_token, tokens, **options):
    return partial(cls, tokens=tokens, **options), lambda texts, logits, labels: loops.average(
        texts, logits, labels, tokens, per_token
    )


def by_ntil(cls=NTIL, **options):
    fixed = {"noise_scale": 0.0} if cls is NTIL else {}
    twin = options | ({"sigma": 0.0, "alpha": 0.0, "beta": 0.0} if cls is EMD else {})
    return partial(
        cls, **fixed, **options
    ), lambda texts, logits, labels: ntil_loops.ntil(texts, logits, labels, **twin).total


def by_number(cls, per_number, scale, form):
    return partial(cls, scale=scale, number_format=form), lambda *case: whole_loops.averaged(
        *case, form, per_number(scale)
    )


LINEUP = [
    by_ntil(),
    by_ntil(number_format="decimal"),
    by_ntil(construction="soft", sigma=0.5, tau=0.7),
    by_ntil(EMD),
    by_ntil(EMD, number_format="decimal"),
    *(
        by_token(NTLWAS, loops.ntl_was(r), tokens, reweigh=r)
        for r in (False, True)
        for tokens in ("digits", "all")
    ),
    *(
        by_token(NTLMSE, loops.ntl_mse(r), tokens, reweigh=r)
        for r in (False, True)
        for tokens in ("digits", "all")
    ),
    *(by_token(GaussianCE, loops.gaussian_ce(1.0), tokens) for tokens in ("digits", "all")),
    *(by_token(DIST2, loops.dist2(1.0), tokens) for tokens in ("digits", "all")),
    *(by_token(SMMD, loops.smmd(2.0), tokens) for tokens in ("digits", "all")),
    *(
        (
            partial(NTLNumber, number_format=form, reweigh=reweigh),
            partial(lambda form, reweigh, *case: loops.ntl_number(*case, form, reweigh), form, reweigh),
        )
        for form in ("digits", "decimal")
        for reweigh in (False, True)
    ),
    *(
        (
            partial(DEL, number_format=form),
            partial(lambda form, *case: loops.digit_weighted_bce(*case, form), form),
        )
        for form in ("digits", "decimal")
    ),
    *(by_token(RPS, loops.rps(), tokens) for tokens in ("digits", "all")),
    *(by_token(NTLWAS, loops.ntl_was(r, 3.0), "digits", reweigh=r, squash_factor=3.0) for r in (False, True)),
    (partial(NTILAligned, noise_scale=0.0), whole_loops.ntil_aligned),
]
# Whose twins look at every number: shorter ones.
ENUMERATED = [
    *(
        by_number(cls, per_number, scale, form)
        for cls, per_number in ((CRPS, whole_loops.crps), (RAFT, whole_loops.raft))
        for scale in ("digits", "value")
        for form in ("digits", "decimal")
    ),
    *(
        (
            partial(SequenceSmoothing, number_format=form),
            partial(lambda form, *case: whole_loops.sequence_smoothing(*case, 0.05, form), form),
        )
        for form in ("digits", "decimal")
    ),
]


def vocabulary(draw: random.Random) -> list[str]:
    texts = ["<pad>", *"0123456789", *OTHER]
    wide = [f"{value:0{width}d}" for width in (2, 3) for value in range(10**width)]
    texts += draw.sample(wide, draw.choice([0, 0, 3, 8]))
    if draw.random() < 0.3:
        texts += [f" {digit}" for digit in range(10)]
    if draw.random() < 0.2:
        texts += [f"<loc{k:02d}>" for k in range(draw.randint(2, 9))]
    draw.shuffle(texts)
    return texts


def label_grid(draw: random.Random, texts: list[str], longest: int) -> torch.Tensor:
    numbers = [i for i, text in enumerate(texts) if any(c in "0123456789" for c in text)]
    others = [texts.index("."), texts.index("."), draw.randrange(len(texts)), -100]
    B, T = draw.randint(1, 3), draw.randint(0, 6)
    rows = [
        [draw.choice(numbers) if draw.random() < 0.7 else draw.choice(others) for _ in range(T)]
        for _ in range(B)
    ]
    return torch.tensor([cut(texts, row, longest) for row in rows], dtype=torch.int64).reshape(B, T)


def check(case: int, lineup: list = LINEUP, longest: int = LONGEST) -> None:
    draw = random.Random(case)
    texts = vocabulary(draw)
    labels = label_grid(draw, texts, longest)
    dtype = draw.choice(list(TOLERANCE))
    make, twin = lineup[case % len(lineup)]
    spread = draw.choice([0.3, 2.0, 6.0])
    logits = random_logits((*labels.shape, len(texts) + draw.choice([0, 0, 5])), case, dtype, spread)
    loss = make(NumberVocab.from_texts(texts))
    total = loss(logits, labels).total
    assert total.requires_grad, f"case {case}: the graph is lost"
    wide = logits.detach().double().requires_grad_()
    expected = twin(texts, wide, labels)
    value_rtol, gradient_rtol = TOLERANCE[dtype]
    # 1 − p has no more digits than 1, and the re-weighed losses multiply it by their largest distance.
    power = {NTLMSE: 2, NTLWAS: 1}.get(type(loss), 0) if loss.needs_normaliser else 0
    smallest = 5e-2 * float(loss.vocab.value.max()) ** power
    near(case, total, expected, value_rtol, smallest)
    limit = torch.finfo(dtype).max / 2  # float16 gradients saturate there
    near(
        case, gradient(total, logits), gradient(expected, wide).clamp(-limit, limit), gradient_rtol, smallest
    )


def near(case: int, ours: torch.Tensor, theirs: torch.Tensor, rtol: float, smallest: float) -> None:
    """Finite, and within rtol of the largest entry, or of `smallest` where all are smaller."""
    assert ours.isfinite().all(), f"case {case} is not finite"
    size = float(theirs.detach().abs().max()) if theirs.numel() else 0.0
    torch.testing.assert_close(
        ours.double(),
        theirs.double(),
        rtol=rtol,
        atol=rtol * max(size, smallest),
        msg=lambda text: f"case {case}: {text}",
    )


def test_hundreds_of_cases() -> None:
    for case in range(12 * len(LINEUP)):
        check(case)
    for case in range(12 * len(ENUMERATED)):
        check(case, ENUMERATED, LONGEST_ENUMERATED)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_cases() -> None:
    for case in range(10_000):
        check(case)
    for case in range(2_000):
        check(case, ENUMERATED, LONGEST_ENUMERATED)
