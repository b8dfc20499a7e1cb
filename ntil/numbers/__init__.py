"""Numbers in vocabularies, in label ids and in text."""

from ntil.numbers.spans import Spans, number_spans
from ntil.numbers.text import NumberText, find_numbers, format_number, parse_number
from ntil.numbers.vocab import NumberVocab, TokenGroup

__all__ = [
    "NumberText",
    "NumberVocab",
    "Spans",
    "TokenGroup",
    "find_numbers",
    "format_number",
    "number_spans",
    "parse_number",
]
