"""What a tokenizer hides from a number loss: said once, with examples and a share; and ordinal patterns that do not fit."""

import copy
import gc
import pickle
import warnings

import pytest
import torch
from generated import SCHEMES, Joined, unigram
from hypothesis import given
from hypothesis import strategies as st

import ntil
from ntil.errors import UserError
from ntil.numbers import NumberVocab
from ntil.numbers.reach import glued_digits
from ntil.numbers.spelling import spelling_of


def quiet(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def test_glued_digits_are_said_once():
    tokenizer = copy.deepcopy(unigram())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        vocab = NumberVocab.from_tokenizer(tokenizer)
        NumberVocab.from_tokenizer(tokenizer)
        NumberVocab.from_tokenizer(tokenizer, vocab_size=99)
    assert len(said) == 1
    assert "% of those in a sample" in str(said[0].message)
    assert "vocab.coverage(texts)" in str(said[0].message)
    message = str(said[0].message)
    assert "'2.'" in message
    assert "'-1'" in message
    share = vocab.coverage(["2. 5.", "-1"])
    assert share == 0.0
    assert 0 < vocab.coverage("-1 20 7") < 1


@pytest.mark.parametrize("name", SCHEMES)
def test_nothing_is_said_where_all_digits_are_seen(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NumberVocab.from_tokenizer(copy.deepcopy(SCHEMES[name]()))


@pytest.mark.parametrize("family", ["qwen2_5", "llama2", "llama3", "gemma", "yi", "baichuan2"])
def test_real_tokenizers_hide_nothing(real_tokenizer, family):
    tokenizer = real_tokenizer(family)
    vocab = NumberVocab.from_tokenizer(tokenizer)
    assert glued_digits(tokenizer, spelling_of(tokenizer).texts, vocab.width) == ""
    assert vocab.coverage(["-1.5 2024-01-05 (3) 4%", "x7, 8th: $9.00 <0x37>"]) == 1.0


@given(text=st.text(st.sampled_from("0123456789.-(% the"), max_size=30))
def test_coverage_is_the_share_of_digits_in_number_tokens(text):
    tokenizer, vocab = unigram(), quiet(lambda: NumberVocab.from_tokenizer(unigram()))
    written = sum(c.isdigit() for c in text)
    pieces = tokenizer.encode(text).tokens
    seen = sum(len(p.strip("▁")) for p in pieces if p.strip("▁").isdigit() and p.count("▁") <= 1)
    assert vocab.coverage(text) == pytest.approx(seen / written if written else 1.0)
    ids = torch.tensor([tokenizer.encode(text).ids], dtype=torch.int64)
    parts = ntil.EMD(vocab)(torch.zeros(1, ids.shape[1], vocab.size), ids)
    assert int(parts.digits) == seen


def test_coverage_of_several_texts_and_of_none():
    vocab = quiet(lambda: NumberVocab.from_tokenizer(unigram()))
    assert vocab.coverage([]) == vocab.coverage("") == vocab.coverage("the") == 1.0
    assert vocab.coverage(iter(["7", "2."])) == 0.5


def test_ordinals_count_with_the_digits_that_they_show():
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    texts = {t: i for i, t in enumerate(["<loc00>", "<loc01>", *"0123456789", "?"])}
    tokenizer = Tokenizer(models.WordLevel(texts, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("<loc[0-9]+>|."), "isolated")
    vocab = NumberVocab.from_tokenizer(tokenizer)
    assert vocab.coverage("<loc01>7") == 1.0


def test_digits_that_are_unknown_to_the_tokenizer_are_not_seen():
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({t: i for i, t in enumerate("?01234")}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    assert NumberVocab.from_tokenizer(tokenizer).coverage("0.98") == pytest.approx(1 / 3)


def test_coverage_lasts_as_long_as_the_vocabulary():
    vocab = NumberVocab.from_tokenizer(copy.deepcopy(SCHEMES["byte_level"]()))
    gc.collect()
    assert vocab.coverage("20 24") == 1.0


def test_coverage_without_a_tokenizer_says_what_to_do():
    vocab = NumberVocab.from_texts([*"0123456789"])
    with pytest.raises(UserError, match=r"coverage\(texts, tokenizer\)"):
        vocab.coverage("7")
    assert vocab.coverage("7", Joined()) == 0.0  # ids of another vocabulary, of which 7 is none


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])  # noqa: S301
def test_copies_of_a_loss_take_no_tokenizer_along(again):
    loss = ntil.NTIL(NumberVocab.from_tokenizer(SCHEMES["byte_level"]()), noise_scale=0.0)
    copied = again(loss)
    with pytest.raises(UserError, match="is a copy"):
        copied.vocab.coverage("7")
    logits, labels = torch.randn(1, 3, loss.vocab.size), loss.vocab.groups[0].token_ids[:3][None]
    torch.testing.assert_close(copied(logits, labels).total, loss(logits, labels).total)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("<loc([0-9]+", "no regular expression"),
        ("<loc[0-9]+>", "0 groups; it needs one"),
        ("<(loc)([0-9]+)>", "2 groups; it needs one"),
        ("<(loc[0-9]+)>", "reads 'loc00' as the value"),
        ("<loc([0-9]+)?>|x()", "2 groups"),
        ("<loc0?([0-9])?.*>", "ordinal tokens number|value of"),
        ("<bin([0-9]+)>", "fits no token"),
        ("loc([0-9]+)", "fits no token"),
    ],
)
def test_ordinal_patterns_that_do_not_fit(pattern, said):
    texts = [*"0123456789", *(f"<loc{k:02d}>" for k in range(16))]
    with pytest.raises(UserError, match=said):
        NumberVocab.from_texts(texts, ordinals=pattern)


def test_no_ordinals_are_no_mistake_by_default():
    assert len(NumberVocab.from_texts([*"0123456789"]).groups) == 1
