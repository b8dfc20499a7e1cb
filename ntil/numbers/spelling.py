"""How a tokenizer spells its tokens: their texts without marks, and what the marks say of where a word begins and ends.

Ġ7  ▁7        a space before it                        byte-level, SentencePiece
##7  ￭7       goes on with the word before it          WordPiece; one without the mark begins a word
7@@  7￭       the word goes on behind it               subword-nmt, fastBPE; one without the mark ends a word
7</w>         the word ends with it                    GPT, XLM, CLIP
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ntil.errors import UserError

DIGITS = re.compile(r"( *)([0-9]+)")
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_SPACES = str.maketrans({"Ġ": " ", "▁": " "})  # byte-level and SentencePiece marks of a leading space
_BEFORE, _BEHIND, _END = ("##", "￭"), ("@@", "￭"), ("</w>",)  # the marks of the table above
_FEW = 3  # so many digit strings with a mark make it one, where the tokenizer does not name its marks
_PROBES = ("2024", "31415926535", "100200300", "7 8 9", "77")


class Marks(NamedTuple):
    """The marks that a vocabulary uses, each "" where it uses none."""

    before: str = ""
    behind: str = ""
    end: str = ""


NO_MARKS = Marks()


class Spelling(NamedTuple):
    """texts: token id → its text, a leading space kept, marks left out; '' for what cannot be a number or a point.

    opens, closes: number tokens that begin or end a word by a mark, or the lack of one. No digit directly before or behind
    them belongs to their number; a point or a sign may, since tokenizers with such marks set it apart.
    """

    texts: dict[int, str]
    opens: frozenset[int] = frozenset()
    closes: frozenset[int] = frozenset()


def spelling_of(tokenizer: Any) -> Spelling:
    """Of a transformers or tokenizers tokenizer, or a tiktoken encoding; UserError for anything else."""
    if hasattr(tokenizer, "decode_single_token_bytes"):  # tiktoken
        special = set(getattr(tokenizer, "_special_tokens", {}).values())
        ids = range(tokenizer.n_vocab)
        return Spelling({i: "" if i in special else _tiktoken_text(tokenizer, i) for i in ids})
    if not hasattr(tokenizer, "get_vocab"):
        raise UserError(
            f"Cannot read the vocabulary of a {type(tokenizer).__name__}: expected a transformers or tokenizers "
            "tokenizer, or a tiktoken encoding."
        )
    entries = tokenizer.get_vocab().items()
    tokens = {i: t.decode("latin-1") if isinstance(t, bytes) else t for t, i in entries}
    found = spelled(tokens, _stated_marks(tokenizer))
    for i, text in found.texts.items():
        # What the vocabulary's spelling suggests, decoding must confirm; it may drop the leading space and keep the mark.
        if DIGITS.fullmatch(text) and tokenizer.decode([i]).strip() not in (text.strip(), tokens[i].strip()):
            found.texts[i] = ""
    return _believed(found, tokenizer)


def spelled(tokens: Mapping[int, str], stated: Marks = NO_MARKS) -> Spelling:
    """The texts of tokens as the vocabulary writes them, by the marks that it states or plainly uses."""
    marks = Marks(
        stated.before or _used(tokens.values(), _BEFORE, "{mark}{digits}"),
        stated.behind or _used(tokens.values(), _BEHIND, "{digits}{mark}"),
        stated.end or _used(tokens.values(), _END, "{digits}{mark}"),
    )
    texts: dict[int, str] = {}
    opens, closes = set(), set()
    for i, token in tokens.items():
        text = "" if _BYTE.fullmatch(token) else token
        goes_on = bool(marks.before) and text.startswith(marks.before)
        text = text.removeprefix(marks.before) if goes_on else text
        continued = bool(marks.behind) and text.endswith(marks.behind)
        text = text.removesuffix(marks.behind) if continued else text
        ended = bool(marks.end) and text.endswith(marks.end)
        text = text.removesuffix(marks.end) if ended else text
        texts[i] = text.translate(_SPACES)
        if DIGITS.fullmatch(texts[i]):
            opens.update([i] if marks.before and not goes_on else [])
            closes.update([i] if ended or (marks.behind and not continued) else [])
    return Spelling(texts, frozenset(opens), frozenset(closes))


def token_ids(tokenizer: Any, text: str) -> list[int] | None:
    """The ids of a text without special tokens; None where the tokenizer encodes nothing."""
    if hasattr(tokenizer, "encode_ordinary"):  # tiktoken
        return list(tokenizer.encode_ordinary(text))
    if not hasattr(tokenizer, "encode"):
        return None
    encoded = tokenizer.encode(text, add_special_tokens=False)
    return list(getattr(encoded, "ids", encoded))


def _used(tokens: Iterable[str], marks: Sequence[str], form: str) -> str:
    """The first of the marks that some digit strings carry."""
    known = list(tokens)
    for mark in marks:
        pattern = re.compile(form.format(mark=re.escape(mark), digits="[0-9]+"))
        if sum(1 for token in known if mark in token and pattern.fullmatch(token)) >= _FEW:
            return mark
    return ""


def _stated_marks(tokenizer: Any) -> Marks:
    """Those that a model of the `tokenizers` library names."""
    model = getattr(getattr(tokenizer, "backend_tokenizer", tokenizer), "model", None)
    before = getattr(model, "continuing_subword_prefix", None)
    end = getattr(model, "end_of_word_suffix", None)
    return Marks(before=before if isinstance(before, str) else "", end=end if isinstance(end, str) else "")


def _believed(found: Spelling, tokenizer: Any) -> Spelling:
    """Without the marks that stand inside a number too, as where each digit is cut off as a word of its own (CLIP)."""
    opens, closes = found.opens, found.closes
    if not opens and not closes:
        return found
    for probe in _PROBES:
        for word in probe.split():
            ids = token_ids(tokenizer, word) or []
            digits = [bool(DIGITS.fullmatch(found.texts.get(i, ""))) for i in ids]
            for k in range(1, len(ids)):
                if digits[k - 1] and digits[k]:
                    opens = frozenset() if ids[k] in opens else opens
                    closes = frozenset() if ids[k - 1] in closes else closes
    return found._replace(opens=opens, closes=closes)


def _tiktoken_text(encoding: Any, token_id: int) -> str:
    try:
        return str(encoding.decode_single_token_bytes(token_id).decode("ascii"))
    except (KeyError, UnicodeDecodeError):  # a hole in the vocabulary, or not ASCII: not a number
        return ""


def added_ids(tokenizer: Any) -> Collection[int]:
    """Ids of the tokens that were added to the vocabulary, special ones among them."""
    for name in ("get_added_tokens_decoder", "added_tokens_decoder"):
        found = getattr(tokenizer, name, None)
        if found is not None:
            return set(found() if callable(found) else found)
    return {*getattr(tokenizer, "_special_tokens", {}).values()}
