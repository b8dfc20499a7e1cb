"""Vocabularies that mark how a word goes on, or where it ends: `##7`, `7@@`, `7</w>`; and all others beside them."""

import re
from fractions import Fraction

import pytest
import torch
from generated import SCHEMES, WORDS, Joined, numbers
from hypothesis import given, settings
from hypothesis import strategies as st

import ntil
from ntil.numbers import NumberVocab, find_numbers

ALL = [*SCHEMES, "joined"]
TELL_NO_WORDS = {"end_of_every_digit", "wordpiece_of_single_digits"}
PIECES = st.one_of(
    st.sampled_from(WORDS), st.integers(0, 10**9).map(str), st.from_regex("[0-9]{1,12}", fullmatch=True)
)
TEXTS = st.lists(PIECES, min_size=1, max_size=8).map(" ".join)


def made(name):
    tokenizer = Joined() if name == "joined" else SCHEMES[name]()
    return tokenizer, NumberVocab.from_tokenizer(tokenizer)


def ids_of(tokenizer, text):
    encoded = tokenizer.encode(text, add_special_tokens=False)
    return list(getattr(encoded, "ids", encoded))


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=60)
@given(text=TEXTS)
def test_every_digit_of_a_text_is_seen(name, text):
    tokenizer, vocab = made(name)
    ids = torch.tensor([ids_of(tokenizer, text)])
    parts = ntil.NTIL(vocab, noise_scale=0.0)(torch.zeros(*ids.shape, vocab.size), ids)
    assert int(parts.digits) == sum(c.isdigit() for c in text)
    assert vocab.coverage(text) == 1.0


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=60)
@given(text=TEXTS)
def test_the_numbers_are_those_of_the_text(name, text):
    tokenizer, vocab = made(name)
    found = numbers(vocab, ids_of(tokenizer, text))
    if name in TELL_NO_WORDS:  # numbers side by side look like one
        text = re.sub("(?<=[0-9]) (?=[0-9])", "", text)
    assert found == [number.value for number in find_numbers(text, "digits")]


@pytest.mark.parametrize("name", [name for name in ALL if name != "joined"])
@settings(max_examples=40)
@given(whole=st.integers(0, 10**6), fraction=st.from_regex("[0-9]{1,5}", fullmatch=True))
def test_decimals_go_across_a_point_that_is_set_apart(name, whole, fraction):
    tokenizer, vocab = made(name)
    ids = ids_of(tokenizer, f"the {whole}.{fraction} of")
    assert numbers(vocab, ids, "decimal") == [Fraction(f"{whole}.{fraction}")]
    assert numbers(vocab, ids, "digits") == [whole, int(fraction)]


@pytest.mark.parametrize("name", [*SCHEMES])
def test_a_version_is_no_decimal(name):
    tokenizer, vocab = made(name)
    assert numbers(vocab, ids_of(tokenizer, "the 1.2.3 of"), "decimal") == [1, 2, 3]


@pytest.mark.parametrize("name", ["wordpiece", "end_of_word", "prefixed_pieces", "joined"])
def test_words_side_by_side_are_two_numbers(name):
    tokenizer, vocab = made(name)
    assert numbers(vocab, ids_of(tokenizer, "20 24")) == [20, 24]
    assert numbers(vocab, ids_of(tokenizer, "2024")) == [2024]


def test_wordpiece_of_transformers():
    transformers = pytest.importorskip("transformers")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=SCHEMES["wordpiece"](), unk_token="[UNK]")
    vocab = NumberVocab.from_tokenizer(fast)
    assert numbers(vocab, fast.encode("2024 315", add_special_tokens=False)) == [2024, 315]


def test_signs_before_a_word():
    tokenizer, vocab = made("wordpiece")
    loss = ntil.NTIL(vocab, noise_scale=0.0, magnitude="signed")
    negative = [
        bool(loss.spans(torch.tensor([ids_of(tokenizer, text)])).signs.negative[0, 0])
        for text in ("-5", "5", "( -5")
    ]
    assert negative == [True, False, True]


MARKED = {
    "##": [*"0123456789.", *(f"##{d}" for d in "0123456789"), "20", "##24", "##."],
    "@@": [*"0123456789.", *(f"{d}@@" for d in "0123456789"), "20@@", "24", ".@@"],
    "</w>": [*"0123456789.", *(f"{d}</w>" for d in "0123456789"), "20", "24</w>", ".</w>"],
    "￭": [*"0123456789.", *(f"￭{d}" for d in "0123456789"), "20", "￭24", "￭."],
}


@pytest.mark.parametrize(
    ("mark", "one", "two"),
    [
        ("##", ["20", "##24"], ["20", "2", "##4"]),
        ("@@", ["20@@", "24"], ["2@@", "0", "24"]),
        ("</w>", ["20", "24</w>"], ["2", "0</w>", "24</w>"]),
        ("￭", ["20", "￭24"], ["20", "2", "￭4"]),
    ],
)
def test_home_made_vocabularies(mark, one, two):
    texts = MARKED[mark]
    vocab = NumberVocab.from_texts(texts)
    assert int((vocab.width > 0).sum()) == 22
    assert numbers(vocab, [texts.index(t) for t in one]) == [2024]
    assert numbers(vocab, [texts.index(t) for t in two]) == [20, 24]
    assert int(vocab.tables.is_point.sum()) == 2


def test_marks_are_not_seen_where_there_are_none():
    texts = [*"0123456789", "##", "#", "@@", "##7", "7@@", "</w>", "8</w>"]
    vocab = NumberVocab.from_texts(texts)
    assert int((vocab.width > 0).sum()) == 10, "a few odd tokens are no scheme"
    assert not vocab.tables.opens.any()
    assert not vocab.tables.closes.any()


def test_a_piece_and_a_word_share_a_group():
    vocab = NumberVocab.from_texts(MARKED["##"])
    one, two = vocab.groups
    assert one.values.tolist() == sorted([*range(10)] * 2)
    assert two.values.tolist() == [20, 24]


@pytest.mark.parametrize("name", ["metaspace"])
def test_byte_tokens_do_not_count(name):
    tokenizer, vocab = made(name)
    known = tokenizer.get_vocab()
    assert [int(vocab.width[known[f"<0x3{d}>"]]) for d in range(10)] == [0] * 10
