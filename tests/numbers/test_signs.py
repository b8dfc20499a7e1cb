"""find_signs: every written rule by hand, on one-token pieces and on real tokenizers."""

import pytest
import torch
from oracles.cases import MARKED, encode

from ntil.numbers import NumberVocab, number_spans
from ntil.numbers.signs import find_signs

VOCAB = NumberVocab.from_texts(MARKED)


def signed(vocab, labels):
    """The numbers as '-5', '2e', 'e-3': their sign, and whether an exponent follows or it is one."""
    spans = number_spans(labels, vocab.tables, "digits")
    signs = find_signs(labels, spans, vocab.tables)
    values = [0] * int((spans.length[0] > 0).sum())
    for t in spans.is_number[0].nonzero().flatten().tolist():
        values[int(spans.number[0, t])] += int(spans.value[0, t]) * 10 ** int(spans.place[0, t])
    return [
        ("e" if signs.exponent[0, k] else "") + ("-" if signs.negative[0, k] else "") + str(value)
        for k, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ("-5", ["-5"]),
        ("+5", ["5"]),
        ("5", ["5"]),
        ("--5", ["-5"]),
        ("(-5)", ["-5"]),
        ("=-5", ["-5"]),
        ("7-5", ["7", "5"]),
        ("7--5", ["7", "-5"]),
        ("(7)-5", ["7", "5"]),
        (["the", "-", "5"], ["5"]),
        (["the", " -", "5"], ["-5"]),
        (["3", " -", "5"], ["3", "-5"]),
        (["3", " -", " 5"], ["3", "5"]),
        (["-", " 5"], ["5"]),
        ("- 5", ["5"]),
        ("2020-01-05", ["2020", "1", "5"]),
        ("2e3", ["2", "e3"]),
        ("2E3", ["2", "e3"]),
        ("2e-3", ["2", "e-3"]),
        ("-2e-3", ["-2", "e-3"]),
        ("2e+3", ["2", "e3"]),
        (["2", "e-", "3"], ["2", "e-3"]),
        (["2", "e+", "42"], ["2", "e42"]),
        ("2e3e4", ["2", "e3", "4"]),
        ("2e3-4", ["2", "e3", "4"]),
        ("2 e3", ["2", "3"]),
        ("2e 3", ["2", "3"]),
        ("e3", ["3"]),
        (["e-", "3"], ["3"]),
        (["2", "e", " -", "3"], ["2", "-3"]),
        (["3", "(-", "5"], ["3", "-5"]),
        (["2", "e", None, "3"], ["2", "3"]),
        ([None, "5"], ["5"]),
        ("", []),
    ],
)
def test_rule(pieces, expected):
    assert signed(VOCAB, encode(MARKED, pieces)) == expected


@pytest.mark.parametrize("family", ["qwen2_5", "llama2", "llama3", "gemma", "yi", "baichuan2"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is -12.", ["-12"]),
        ("(-3, 4)", ["-3", "4"]),
        ("6.02e23", ["6", "2", "e23"]),
        ("1e-9 m", ["1", "e-9"]),
    ],
)
def test_real_tokenizers(real_tokenizer, family, text, expected):
    loaded = real_tokenizer(family)
    vocab = NumberVocab.from_tokenizer(loaded)
    ids = loaded(text, add_special_tokens=False)["input_ids"]
    assert signed(vocab, torch.tensor([ids])) == expected
