"""NumberVocab: which tokens are numbers and what they are worth."""

import copy
import re

import pytest
from oracles.cases import LOCS, OTHER, PLAIN, SHUFFLED, SPACED, WIDE

from ntil.errors import UserError
from ntil.numbers import NumberVocab

DIGIT_STRINGS = {  # family → number tokens of 1, 2, 3 digits; ../shared/tokenizers/README.md
    "qwen2_5": (10, 0, 0),
    "llama2": (10, 0, 0),
    "llama3": (10, 100, 1000),
    "gemma": (10, 0, 0),
    "yi": (10, 0, 0),
    "baichuan2": (10, 0, 0),
}


class FakeTokenizer:
    """Hugging Face-like: get_vocab and decode, with a SentencePiece or byte-level spelling."""

    def __init__(self, tokens, decoded=None):
        self.tokens, self.decoded = list(tokens), decoded or {}

    def get_vocab(self):
        return {token: i for i, token in enumerate(self.tokens)}

    def decode(self, ids):
        token = self.tokens[ids[0]]
        if isinstance(token, bytes):
            token = token.decode()
        return self.decoded.get(token, token.replace("▁", " ").replace("Ġ", " "))


class FakeTiktoken:
    """tiktoken-like: bytes by id, a hole at 3 and a special token whose text is a digit."""

    def __init__(self):
        self.n_vocab = 8
        self._special_tokens = {"5": 7}
        self.tokens = {0: b"7", 1: b" 42", 2: b".", 4: b"\xd9\xa3", 5: b"7th", 6: b"013", 7: b"5"}

    def decode_single_token_bytes(self, token_id):
        return self.tokens[token_id]  # KeyError at the hole, as tiktoken does


class Slotted:
    """No __weakref__ and not hashable: cannot be cached."""

    __slots__ = ("inner",)
    __hash__ = None

    def __init__(self, inner):
        self.inner = inner

    def get_vocab(self):
        return self.inner.get_vocab()

    def decode(self, ids):
        return self.inner.decode(ids)


def number_tokens(vocab):
    """{id: (width, value)} of all number tokens."""
    ids = vocab.width.nonzero().flatten()
    columns = (ids, vocab.width[ids], vocab.value[ids])
    return {i: (width, value) for i, width, value in zip(*(c.tolist() for c in columns), strict=True)}


@pytest.mark.parametrize(
    "texts", [PLAIN, SHUFFLED, SPACED, WIDE], ids=["plain", "shuffled", "spaced", "wide"]
)
def test_texts_of_ascii_digits_are_the_number_tokens(texts):
    expected = {i: (len(t.strip()), int(t)) for i, t in enumerate(texts) if re.fullmatch(" *[0-9]+", t)}
    assert number_tokens(NumberVocab.from_texts(texts)) == expected


@pytest.mark.parametrize(
    "text", ["٣", "３", "²", "½", "7th", "x7", "-1", "1.5", "<0x37>x", "7 ", "\t7", "", "0x7", "１２"]
)
def test_text_that_is_no_number(text):
    vocab = NumberVocab.from_texts(["0", text])
    assert number_tokens(vocab) == {0: (1, 0)}


def test_digit_at_id_0_counts():
    vocab = NumberVocab.from_texts(SHUFFLED)
    assert SHUFFLED[0] == "3"
    assert (int(vocab.width[0]), int(vocab.value[0]), int(vocab.tables.group[0])) == (1, 3, 0)
    assert vocab.groups[0].token_ids.tolist() == [SHUFFLED.index(d) for d in "0123456789"]
    assert vocab.groups[0].is_plain


def test_space_prefixed_digits_share_a_group_and_start_a_number():
    vocab = NumberVocab.from_texts(SPACED)
    (group,) = vocab.groups
    assert len(group.token_ids) == 20
    assert group.values.tolist() == sorted([*range(10)] * 2)
    assert not group.is_plain
    assert vocab.tables.starts.tolist() == [t[0] == " " and t != " " for t in SPACED]
    assert not vocab.tables.ends.any()


def test_groups_hold_one_width_each_with_digits_leading_first():
    vocab = NumberVocab.from_texts(WIDE)
    assert [group.width for group in vocab.groups] == [1, 2, 3]
    assert vocab.max_width == 3
    for group in vocab.groups:
        assert group.values.tolist() == sorted(group.values.tolist())
        for token, value, digits in zip(group.token_ids, group.values, group.digits, strict=True):
            assert "".join(str(int(d)) for d in digits) == WIDE[token].strip()
            assert int(WIDE[token]) == value


def test_a_group_with_a_missing_digit_is_not_plain():
    assert not NumberVocab.from_texts([*"012346789", "."]).groups[0].is_plain


def test_points_are_exactly_the_one_character_token():
    vocab = NumberVocab.from_texts(["1", ".", " .", "..", ".5", "。"])
    assert vocab.tables.is_point.tolist() == [False, True, False, False, False, False]


def test_tokens_wider_than_int64_are_no_numbers():
    vocab = NumberVocab.from_texts(["9" * 18, "9" * 19])
    assert number_tokens(vocab) == {0: (18, 10**18 - 1)}


def test_padded_vocabulary_has_entries_that_are_no_numbers():
    vocab = NumberVocab.from_texts(PLAIN, vocab_size=len(PLAIN) + 5)
    assert vocab.size == len(PLAIN) + 5 == len(vocab.width) == len(vocab.value)
    assert not vocab.width[len(PLAIN) :].any()


@pytest.mark.parametrize("text", ["7", " 12", ".", "<loc0000>"])
def test_number_tokens_beyond_the_vocabulary_are_an_error(text):
    with pytest.raises(UserError, match="vocab_size"):
        NumberVocab.from_texts(["0", "a", text], vocab_size=2)
    assert NumberVocab.from_texts(["0", "a", "b"], vocab_size=2).size == 2  # other tokens may lie there


@pytest.mark.parametrize("texts", [[], OTHER, ["<0x37>x", "٣", "²"]])
def test_no_digits_is_an_error(texts):
    with pytest.raises(UserError, match="no number tokens"):
        NumberVocab.from_texts(texts)


def test_ordinals_are_numbers_of_one_digit_in_their_own_base():
    vocab = NumberVocab.from_texts(LOCS)
    group = vocab.groups[-1]
    ids = [LOCS.index(f"<loc{k:02d}>") for k in range(16)]
    assert (group.width, group.base, group.is_plain) == (1, 16, True)
    assert group.token_ids.tolist() == ids
    assert group.values.tolist() == group.digits[:, 0].tolist() == list(range(16))
    assert vocab.tables.starts[ids].all()
    assert vocab.tables.ends[ids].all()


def test_ordinals_can_be_left_out_or_named_otherwise():
    assert len(NumberVocab.from_texts(LOCS, ordinals=None).groups) == 1
    bins = NumberVocab.from_texts(["a", "bin1", "bin0", "bin2"], ordinals="bin([0-9]+)")
    assert bins.groups[0].token_ids.tolist() == [2, 1, 3]


@pytest.mark.parametrize("values", [[1, 2], [0, 2], [0, 0, 1]])
def test_ordinals_with_gaps_or_repeats_are_an_error(values):
    texts = [f"<loc{value:0{i + 4}d}>" for i, value in enumerate(values)]
    with pytest.raises(UserError, match="ordinal"):
        NumberVocab.from_texts([*"0123456789", *texts])


@pytest.mark.parametrize("mark", ["▁", "Ġ"])
def test_tokenizer_with_marked_spaces(mark):
    vocab = NumberVocab.from_tokenizer(FakeTokenizer(["7", f"{mark}8", mark, ".", f"{mark}.", "<loc0>"]))
    assert number_tokens(vocab) == {0: (1, 7), 1: (1, 8), 5: (1, 0)}
    assert vocab.tables.starts.tolist() == [False, True, False, False, False, True]
    assert vocab.tables.is_point.tolist() == [False, False, False, True, False, False]


def test_tokenizer_that_drops_the_leading_space_when_it_decodes():
    vocab = NumberVocab.from_tokenizer(FakeTokenizer(["▁8", "▁"], decoded={"▁8": "8"}))
    assert number_tokens(vocab) == {0: (1, 8)}
    assert vocab.tables.starts[0]


def test_byte_fallback_and_misleading_spellings_are_no_numbers():
    tokens = ["0", "<0x37>", "9", b"4", "٣"]
    vocab = NumberVocab.from_tokenizer(FakeTokenizer(tokens, decoded={"<0x37>": "7", "9": "nine"}))
    assert number_tokens(vocab) == {0: (1, 0), 3: (1, 4)}


def test_tiktoken_encoding():
    vocab = NumberVocab.from_tokenizer(FakeTiktoken())
    assert number_tokens(vocab) == {0: (1, 7), 1: (2, 42), 6: (3, 13)}
    assert vocab.tables.starts.nonzero().flatten().tolist() == [1]
    assert vocab.tables.is_point.nonzero().flatten().tolist() == [2]


def test_object_without_a_vocabulary_is_an_error():
    with pytest.raises(UserError, match="vocabulary of a list"):
        NumberVocab.from_tokenizer([])


def test_cached_with_the_tokenizer_and_its_options():
    tokenizer = FakeTokenizer(LOCS)
    first = NumberVocab.from_tokenizer(tokenizer)
    assert NumberVocab.from_tokenizer(tokenizer) is first
    assert NumberVocab.from_tokenizer(tokenizer, vocab_size=99).size == 99
    assert len(NumberVocab.from_tokenizer(tokenizer, ordinals=None).groups) == 1
    tokenizer.tokens += ["12"]
    assert NumberVocab.from_tokenizer(tokenizer).max_width == 2  # tokens added since


def test_tokenizer_that_cannot_be_cached():
    assert number_tokens(NumberVocab.from_tokenizer(Slotted(FakeTokenizer(["7", "8"])))) == {
        0: (1, 7),
        1: (1, 8),
    }


@pytest.mark.parametrize("family", DIGIT_STRINGS)
def test_real_tokenizer(real_tokenizer, family):
    tokenizer = real_tokenizer(family)
    before = dict(tokenizer.get_vocab())
    vocab = NumberVocab.from_tokenizer(tokenizer)
    assert tokenizer.get_vocab() == before
    counts = [int((vocab.width == width).sum()) for width in (1, 2, 3)]
    assert tuple(counts) == DIGIT_STRINGS[family]
    assert sum(counts) == int((vocab.width > 0).sum())
    for token, (_, value) in number_tokens(vocab).items():
        text = tokenizer.decode([token])
        assert text.isascii()
        assert int(text) == value
    assert [tokenizer.decode([i]) for i in vocab.tables.is_point.nonzero().flatten().tolist()] == ["."]


def test_padded_logits_of_qwen(real_tokenizer):
    vocab = NumberVocab.from_tokenizer(real_tokenizer("qwen2_5"), vocab_size=151_936)
    assert len(vocab.width) == 151_936
    assert int((vocab.width > 0).sum()) == 10


def test_backend_tokenizer_gives_the_same_vocabulary(real_tokenizer):
    tokenizer = real_tokenizer("llama2")
    backend = tokenizer.backend_tokenizer
    before = backend.to_str()
    vocab = NumberVocab.from_tokenizer(backend)
    assert backend.to_str() == before
    assert number_tokens(vocab) == number_tokens(NumberVocab.from_tokenizer(tokenizer))


def test_locations_added_to_a_tokenizer_as_in_paligemma(real_tokenizer):
    tokenizer = copy.deepcopy(real_tokenizer("llama2"))
    size = len(tokenizer)
    tokenizer.add_tokens([f"<loc{k:04d}>" for k in range(1024)])
    vocab = NumberVocab.from_tokenizer(tokenizer)
    group = vocab.groups[-1]
    assert (len(vocab.groups), group.base) == (2, 1024)
    assert group.token_ids.tolist() == list(range(size, size + 1024))
    assert group.values.tolist() == list(range(1024))
