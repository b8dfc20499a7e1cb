"""NTIL in place of cross-entropy on digits: what the paper's text leaves out, seen in the gradient."""

import torch
from oracles import ntil_loops
from oracles.cases import PLAIN, encode, gradient, random_logits

from ntil.losses import NTIL, build_loss
from ntil.numbers import NumberVocab

VOCAB = NumberVocab.from_texts(PLAIN)


def test_at_a_digit_no_other_token_has_a_gradient_where_the_text_replaces_cross_entropy():
    labels, logits = encode(PLAIN, ["3", ".", "4", "the"]), random_logits((1, 4, len(PLAIN)), 0)

    def number(vocab):
        return NTIL(vocab, noise_scale=0.0)

    text = build_loss(VOCAB, number, weight=1.0, balance="digit_share", ce_on_digits=False)
    released = build_loss(VOCAB, number)
    others = torch.tensor([not piece.isdigit() or len(piece) > 1 or not piece.isascii() for piece in PLAIN])
    at_digits = [0, 2]
    assert not gradient(text(logits, labels), logits)[0, at_digits][:, others].any()
    assert gradient(released(logits, labels), logits)[0, at_digits][:, others].all()


def test_it_is_the_mean_over_all_tokens_of_each_ones_own_loss():
    labels, logits = encode(PLAIN, ["3", ".", "4", "the"]), random_logits((1, 4, len(PLAIN)), 0)
    loss = build_loss(
        VOCAB,
        lambda vocab: NTIL(vocab, noise_scale=0.0),
        weight=1.0,
        balance="digit_share",
        ce_on_digits=False,
    )
    theirs = ntil_loops.ntil(PLAIN, logits, labels).total
    ce = ntil_loops.cross_entropy(logits, labels, {(0, 0), (0, 2)})
    torch.testing.assert_close(loss(logits, labels), (2 * ce + 2 * theirs) / 4)
