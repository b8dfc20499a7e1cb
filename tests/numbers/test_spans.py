"""number_spans: every written rule by hand, then against the regular-expression twin and on real tokenizers."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.cases import LOCS, PLAIN, SPACED, VOCABULARIES, WIDE, encode, label_rows
from oracles.reading import read_row

from ntil.numbers import NumberVocab, find_numbers, number_spans

FAMILIES = ["qwen2_5", "llama2", "llama3", "gemma", "yi", "baichuan2"]


def found(spans, row=0):
    """[(digits, value)] of a row's numbers in order, from the place values alone."""
    numbers = {}
    for t in spans.is_number[row].nonzero().flatten().tolist():
        index = int(spans.number[row, t])
        digits, value = numbers.get(index, (0, Fraction(0)))
        place = Fraction(10) ** int(spans.place[row, t])
        numbers[index] = (digits + int(spans.width[row, t]), value + int(spans.value[row, t]) * place)
    assert sorted(numbers) == list(range(len(numbers)))
    return [numbers[index] for index in range(len(numbers))]


def values(texts, pieces, number_format):
    vocab = NumberVocab.from_texts(texts)
    return [str(float(v)) for _, v in found(number_spans(encode(texts, pieces), vocab.tables, number_format))]


@pytest.mark.parametrize(
    ("texts", "pieces", "digits", "decimal"),
    [
        (PLAIN, "12,34", [12, 34], [12, 34]),
        (PLAIN, "0.98", [0, 98], [0.98]),
        (PLAIN, "12.34", [12, 34], [12.34]),
        (PLAIN, "1.2.3", [1, 2, 3], [1, 2, 3]),  # a version
        (PLAIN, "1.2.3.45", [1, 2, 3, 45], [1, 2, 3, 45]),
        (PLAIN, "1.2..3", [1, 2, 3], [1.2, 3]),
        (PLAIN, "1.2.", [1, 2], [1.2]),
        (PLAIN, ".5", [5], [5]),
        (PLAIN, "5.", [5], [5]),
        (PLAIN, "1.2,3.4", [1, 2, 3, 4], [1.2, 3.4]),
        (PLAIN, "-1,234e5", [1, 234, 5], [1, 234, 5]),
        (PLAIN, "007", [7], [7]),
        (PLAIN, "1 2", [1, 2], [1, 2]),
        (PLAIN, "1 .2", [1, 2], [1, 2]),
        (PLAIN, ["1", None, "2"], [1, 2], [1, 2]),
        (PLAIN, ["1", None, ".", "2"], [1, 2], [1, 2]),
        (PLAIN, ["1", ".", None, "2"], [1, 2], [1, 2]),
        (PLAIN, ["1", "7th", "2"], [1, 2], [1, 2]),
        (PLAIN, ["1", "٣", "2"], [1, 2], [1, 2]),
        (PLAIN, "...", [], []),
        (PLAIN, "", [], []),
        (SPACED, ["7", " 8"], [7, 8], [7, 8]),
        (SPACED, [" 7", "8"], [78], [78]),
        (SPACED, ["1", ".", " 2"], [1, 2], [1, 2]),
        (SPACED, [" 1", ".", "2", " 3", ".", "4"], [1, 2, 3, 4], [1.2, 3.4]),
        (WIDE, ["123", "42", "5"], [123425], [123425]),
        (WIDE, ["123", ".", "07", "5"], [123, 75], [123.075]),
        (WIDE, ["007", " 42"], [7, 42], [7, 42]),
        (LOCS, ["<loc03>", "<loc15>"], [3, 15], [3, 15]),
        (LOCS, ["4", "<loc03>", "5"], [4, 3, 5], [4, 3, 5]),
        (LOCS, ["4", ".", "<loc03>", ".", "5"], [4, 3, 5], [4, 3, 5]),
    ],
)
def test_rule(texts, pieces, digits, decimal):
    assert values(texts, pieces, "digits") == [str(float(v)) for v in digits]
    assert values(texts, pieces, "decimal") == [str(float(v)) for v in decimal]


def test_every_field_by_hand():
    labels = encode(WIDE, ["the", "123", ".", "07", "5", ",", "9"])
    spans = number_spans(labels, NumberVocab.from_texts(WIDE).tables, "decimal")
    assert spans.width.tolist() == [[0, 3, 0, 2, 1, 0, 1]]
    assert spans.value.tolist() == [[0, 123, 0, 7, 5, 0, 9]]
    assert spans.group.tolist() == [[-1, 2, -1, 1, 0, -1, 0]]
    assert spans.number.tolist() == [[0, 0, 0, 0, 0, 0, 1]]
    assert spans.rank.tolist() == [[0, 3, 0, 1, 0, 0, 0]]
    assert spans.place.tolist() == [[0, 0, 0, -2, -3, 0, 0]]
    assert spans.length.tolist() == [[6, 1, 0, 0, 0, 0, 0]]
    assert spans.lead.tolist() == [[2, 0, 0, 0, 0, 0, 0]]


def test_leading_zeros_are_digits():
    spans = number_spans(encode(PLAIN, "007"), NumberVocab.from_texts(PLAIN).tables)
    assert spans.length[0, 0] == 3
    assert spans.rank.tolist() == [[2, 1, 0]]


def test_labels_outside_the_vocabulary_are_no_numbers():
    tables = NumberVocab.from_texts([*"0123456789"]).tables
    labels = torch.tensor([[1, 10, 2, 10_000, -1, 3, -100]])
    assert [int(v) for _, v in found(number_spans(labels, tables))] == [1, 2, 3]


def test_rows_do_not_join():
    labels = torch.cat([encode(PLAIN, "12"), encode(PLAIN, "34")])
    spans = number_spans(labels, NumberVocab.from_texts(PLAIN).tables)
    assert [found(spans, row) for row in (0, 1)] == [[(2, 12)], [(2, 34)]]


@pytest.mark.parametrize("number_format", ["digits", "decimal"])
@pytest.mark.parametrize("name", VOCABULARIES)
@settings(max_examples=60)
@given(data=st.data())
def test_equals_the_regular_expressions(name, number_format, data):
    texts = VOCABULARIES[name]
    labels = data.draw(label_rows(texts, rows=2, length=16))
    spans = number_spans(labels, NumberVocab.from_texts(texts).tables, number_format)
    for row, ids in enumerate(labels.tolist()):
        numbers = read_row(texts, ids, number_format)
        assert found(spans, row) == [(number.length, number.value) for number in numbers]
        expected = {field: [0] * len(ids) for field in ("width", "value", "number", "rank", "place")}
        for index, number in enumerate(numbers):
            assert (int(spans.length[row, index]), int(spans.lead[row, index])) == (
                number.length,
                number.lead,
            )
            for i, piece in enumerate(number.pieces):
                expected["width"][piece.position] = piece.width
                expected["value"][piece.position] = piece.value
                expected["number"][piece.position] = index
                expected["rank"][piece.position] = number.rank(i)
                expected["place"][piece.position] = number.rank(i) - number.fraction
        assert {field: getattr(spans, field)[row].tolist() for field in expected} == expected
        assert not spans.length[row, len(numbers) :].any()


number_rich_text = st.lists(
    st.one_of(
        st.text("0123456789.", max_size=8),
        st.sampled_from(
            [
                " ",
                "\n",
                "  ",
                ",",
                "-",
                "e",
                "/",
                ":",
                "(",
                ")",
                " the ",
                "$",
                "%",
                "x",
                "1,234",
                "1.2.3",
                "−",
                "é",
            ]
        ),
    ),
    max_size=10,
).map("".join)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40)
@given(text=number_rich_text)
def test_real_tokenizers_see_the_numbers_of_the_text(real_tokenizer, family, text):
    tokenizer = real_tokenizer(family)
    tables = _vocab(tokenizer).tables
    labels = torch.tensor([tokenizer.encode(text, add_special_tokens=False)], dtype=torch.int64)
    for number_format in ("digits", "decimal"):
        expected = [(sum(c != "." for c in n.text), n.value) for n in find_numbers(text, number_format)]
        assert found(number_spans(labels, tables, number_format)) == expected


_vocabs = {}


def _vocab(tokenizer):
    if id(tokenizer) not in _vocabs:
        _vocabs[id(tokenizer)] = NumberVocab.from_tokenizer(tokenizer)
    return _vocabs[id(tokenizer)]
