"""A SentencePiece tokenizer.model of the BPE kind as a `tokenizers.Tokenizer`; neither sentencepiece nor protobuf is needed.

The file is a protocol buffer: field 1, once a piece, holds its text, score and kind; field 2 how it was trained, field 3 how
it treats spaces. Merging two neighbours is allowed wherever their union is a piece, best score first.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from ntil.errors import UserError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # kinds of pieces
BPE = 2  # kind of model
VARINT, EIGHT, LENGTH, FOUR = 0, 1, 2, 5  # how a field's value is written


@dataclass(frozen=True)
class Piece:
    text: str
    score: float
    kind: int


def from_sentencepiece(path: Path) -> Tokenizer:
    """The tokenizer of a tokenizer.model. UserError where it is broken or of a kind that BPE cannot express."""
    try:
        pieces, trainer, normalizer = _read(path.read_bytes())
    except (IndexError, ValueError, struct.error) as error:
        raise UserError(f"{path} is not a SentencePiece model: {error}.") from None
    if not pieces or trainer.get(3, 1) != BPE:
        raise UserError(f"{path} is no SentencePiece model of the BPE kind.")
    if normalizer.get(2) or normalizer.get(4, 1):
        raise UserError(
            f"{path} rewrites characters or spaces before it cuts the text; that is not converted."
        )
    return _build(pieces, prefix=bool(normalizer.get(3, 1)))


def _build(pieces: list[Piece], prefix: bool) -> Tokenizer:
    """prefix: a text is cut as if a space stood before it."""
    symbols = [piece.text for piece in pieces if piece.kind == USER_DEFINED]
    tokenizer = Tokenizer(
        models.BPE(
            {piece.text: i for i, piece in enumerate(pieces)},
            _merges(pieces),
            unk_token=next((piece.text for piece in pieces if piece.kind == UNKNOWN), None),
            fuse_unk=True,
            byte_fallback=any(piece.kind == BYTE for piece in pieces),
            ignore_merges=bool(symbols),  # symbols are cut out by the pattern below and taken whole
        )
    )
    before: list[Any] = [normalizers.Replace(" ", "▁")]
    after: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if prefix:
        before.insert(0, normalizers.Prepend("▁"))
        after.append(decoders.Strip(" ", 1, 0))
    tokenizer.normalizer = normalizers.Sequence(before)
    tokenizer.decoder = decoders.Sequence(after)
    if symbols:  # the longest first, as SentencePiece finds them
        pattern = "|".join(re.escape(symbol) for symbol in sorted(symbols, key=len, reverse=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    control = [piece.text for piece in pieces if piece.kind in (CONTROL, UNKNOWN)]
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in control])
    return tokenizer


def _merges(pieces: list[Piece]) -> list[tuple[str, str]]:
    """Every way to make an ordinary piece of two, best score first; among equals by id, then the shorter left part."""
    normal = {piece.text: (-piece.score, i) for i, piece in enumerate(pieces) if piece.kind == NORMAL}
    merges = [
        (*rank, end, text[:end], text[end:])
        for text, rank in normal.items()
        for end in range(1, len(text))
        if text[:end] in normal and text[end:] in normal
    ]
    return [(left, right) for *_, left, right in sorted(merges)]


def _read(data: bytes) -> tuple[list[Piece], dict[int, Any], dict[int, Any]]:
    pieces, trainer, normalizer = [], {}, {}
    for number, value in _fields(data):
        if number == 1:
            found = dict(_fields(value))
            (score,) = struct.unpack("<f", found.get(2, bytes(4)))
            pieces.append(Piece(found[1].decode() if 1 in found else "", score, found.get(3, NORMAL)))
        elif number == 2:
            trainer = dict(_fields(value))
        elif number == 3:
            normalizer = dict(_fields(value))
    return pieces, trainer, normalizer


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The (number, value) pairs of a message: integers, or the bytes of everything else."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == LENGTH:
            size, at = _varint(data, at)
        elif kind in (EIGHT, FOUR):
            size = 8 if kind == EIGHT else 4
        else:
            raise ValueError(f"byte {at} begins no field")
        if at + size > len(data):
            raise ValueError("it is cut short")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The integer at `at`, seven bits a byte with the lowest first, and the place behind it."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not data[at - 1] & 0x80:
            return value, at
