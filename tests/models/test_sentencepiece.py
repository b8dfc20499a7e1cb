"""tokenizer.model files, written here by hand as SentencePiece writes them."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from ntil.errors import UserError
from ntil.models.convert.sentencepiece import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    from_sentencepiece,
)
from ntil.models.convert.tokenizer import published_tokenizer

TEXTS = (
    "12+34=",
    "2024 is 7 more than 2017.",
    " two  spaces ",
    "a\nb\n\n46",
    "The clock says 3:25, doesn't it?",
    "[0.41, 0.39, 0.59, 0.61]",
    "北京 2008 年",
    "ŷ ∂ 🙂",
    "",
)
Row = tuple[str, float, int]


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def model_file(rows: list[Row], prefix: bool, kind: int = 2, squeeze: bool = False) -> bytes:
    """Pieces, then how it was trained and how it treats spaces; with a field that the reader must pass over."""
    pieces = [
        message(1, message(1, text.encode()) + b"\x15" + struct.pack("<f", score) + number(3, kind_of))
        for text, score, kind_of in rows
    ]
    trainer = message(2, number(3, kind) + varint(10 << 3 | 5) + struct.pack("<f", 0.9995))
    normalizer = message(3, message(1, b"identity") + number(3, int(prefix)) + number(4, int(squeeze)))
    return b"".join(pieces) + trainer + normalizer


def small(prefix: bool, symbols: tuple[str, ...] = ()) -> list[Row]:
    rows: list[Row] = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    rows += [(symbol, 0.0, USER_DEFINED) for symbol in symbols]
    rows += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    ordinary = ["he", "re", "here", "▁t", "the", "▁", *"abcdefghijklmnopqrstuvwxyz0123456789<>"]
    return rows + [(text, -float(i), NORMAL) for i, text in enumerate(ordinary)]


def tokens(path: Path, text: str) -> list[str]:
    found: list[str] = from_sentencepiece(path).encode(text, add_special_tokens=False).tokens
    return found


@pytest.mark.parametrize("family", [pytest.param("baichuan2", marks=pytest.mark.slow), "yi"])
def test_as_the_tokenizer_json_that_others_made(
    family: str, tokenizer_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """Merges follow from the pieces, and every text is cut as by the family's own tokenizer.json."""
    file = tokenizer_folder(family) / "tokenizer.json"
    known = json.loads(file.read_text())
    kinds = {**{f"<0x{byte:02X}>": BYTE for byte in range(256)}, "<unk>": UNKNOWN}
    kinds |= {token["content"]: CONTROL for token in known["added_tokens"] if token["id"] in (1, 2)}
    rows = [
        (text, 0.0 if text in kinds else -float(i), kinds.get(text, NORMAL))
        for text, i in known["model"]["vocab"].items()
    ]
    (tmp_path / "tokenizer.model").write_bytes(model_file(rows, prefix=family == "baichuan2"))
    made, real = from_sentencepiece(tmp_path / "tokenizer.model"), Tokenizer.from_file(str(file))
    merges = {tuple(pair) for pair in json.loads(made.to_str())["model"]["merges"]}
    assert merges == {tuple(pair.split(" ")) for pair in known["model"]["merges"]}
    for text in TEXTS:
        mine, theirs = (t.encode(text, add_special_tokens=False).ids for t in (made, real))
        assert mine == theirs, text
        assert made.decode(mine) == real.decode(theirs), text


def test_the_best_score_is_merged_first(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(model_file(small(prefix=False), prefix=False))
    assert tokens(path, "there") == ["t", "here"]  # he, then here; the would need t+he, which scores worse
    rows = [(text, -score if text == "here" else score, kind) for text, score, kind in small(prefix=False)]
    worst = [(text, -99.0 if text == "here" else score, kind) for text, score, kind in rows]
    path.write_bytes(model_file(worst, prefix=False))
    assert tokens(path, "there") == ["the", "re"]


def test_pieces_out_of_use_are_not_merged(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(model_file([*small(prefix=False), ("46", 0.0, UNUSED)], prefix=False))
    assert tokens(path, "46") == ["4", "6"]


@pytest.mark.parametrize("prefix", [True, False])
def test_the_space_before_a_text(prefix: bool, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(model_file(small(prefix), prefix))
    assert tokens(path, "46") == (["▁", "4", "6"] if prefix else ["4", "6"])
    made = from_sentencepiece(path)
    assert made.decode(made.encode("a 46").ids) == "a 46"


def test_symbols_are_never_merged_or_cut(tmp_path: Path) -> None:
    """The space before a text comes once, not behind every symbol; the longest symbol wins."""
    path = tmp_path / "tokenizer.model"
    path.write_bytes(model_file(small(True, symbols=("\n", "<img>", "<img><img>")), prefix=True))
    assert tokens(path, "a\n46") == ["▁", "a", "\n", "4", "6"]
    assert tokens(path, "<img>46<img><img>he") == ["▁", "<img>", "4", "6", "<img><img>", "he"]


def test_control_pieces_are_special_and_other_characters_bytes(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(model_file(small(False), prefix=False))
    assert tokens(path, "46</s>") == ["4", "6", "</s>"]
    assert tokens(path, "é") == ["<0xC3>", "<0xA9>"]
    made = from_sentencepiece(path)
    assert made.decode(made.encode("46</s>").ids, skip_special_tokens=True) == "46"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no SentencePiece model of the BPE kind"),
        (b"\x0a\xff", "is not a SentencePiece model"),
        (b"<html>not found</html>", "is not a SentencePiece model"),
        (model_file(small(False), False)[:-3], "is not a SentencePiece model"),
        (model_file(small(False), False, kind=1), "no SentencePiece model of the BPE kind"),
        (model_file(small(False), False, squeeze=True), "rewrites characters or spaces"),
    ],
)
def test_files_that_are_something_else(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(UserError, match=words):
        from_sentencepiece(tmp_path / "tokenizer.model")


@pytest.mark.parametrize("pad", ["<unk>", {"content": "<unk>", "__type": "AddedToken"}])
def test_a_published_folder(pad: Any, tmp_path: Path) -> None:
    """Roles come from either file; a role that the vocabulary lacks adds no token."""
    (tmp_path / "tokenizer.model").write_bytes(model_file(small(True), prefix=True))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "<nope>"}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"pad_token": pad, "unk_token": "<unk>"}))
    tokenizer = published_tokenizer(tmp_path)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == ("<s>", None, "<unk>")
    assert len(tokenizer) == len(small(True))
    assert tokenizer("46")["input_ids"] == tokenizer.convert_tokens_to_ids(["▁", "4", "6"])


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither tokenizer\.json nor tokenizer\.model"):
        published_tokenizer(tmp_path)
