"""Tokenizers of every scheme, trained on the spot, and the numbers that a loss reads in what they encode."""

from collections.abc import Callable
from fractions import Fraction
from functools import cache

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from ntil.numbers import NumberVocab, number_spans

WORDS = ["the", "of", "in", "costs", "were", "and", "year"]
CORPUS = [
    *(f"the {n} of {n * 7 % 1000} in {n * 31 % 10000}" for n in range(1500)),
    *(f"{n / 100:.2f} and -{n} costs {n % 10}. {n % 24}:{n % 60:02d} ({n})" for n in range(400)),
    *(f"{d} {d}{d}" for d in range(10)),
]


def wordpiece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]"]))
    return made


def wordpiece_of_single_digits() -> Tokenizer:
    """Each digit is cut off as a word of its own, so the lack of ## says nothing of where a number begins."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Digits(individual_digits=True)]
    )
    made.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]"]))
    return made


def wordpiece_with_another_mark() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]", continuing_subword_prefix="~"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[UNK]"], continuing_subword_prefix="~"
    )
    made.train_from_iterator(CORPUS, trainer)
    return made


def byte_level() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet))
    return made


def end_of_word() -> Tokenizer:
    """As GPT-1: </w> at the end of a word."""
    made = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.BPEDecoder()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>"], end_of_word_suffix="</w>")
    made.train_from_iterator(CORPUS, trainer)
    return made


def end_of_every_digit() -> Tokenizer:
    """As CLIP: each digit is a word of its own, so </w> says nothing of where a number ends."""
    made = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Digits(individual_digits=True)]
    )
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>"], end_of_word_suffix="</w>")
    made.train_from_iterator(CORPUS, trainer)
    return made


def prefixed_pieces() -> Tokenizer:
    """BPE with ## before what goes on with a word."""
    made = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>"], continuing_subword_prefix="##")
    made.train_from_iterator(CORPUS, trainer)
    return made


def metaspace() -> Tokenizer:
    """As Llama-2: SentencePiece's mark, digits split."""
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.pre_tokenizer = pre_tokenizers.Split(Regex("[0-9]"), "isolated")
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=600, special_tokens=special))
    return made


SCHEMES: dict[str, Callable[[], Tokenizer]] = {
    made.__name__: cache(made)
    for made in (
        wordpiece,
        wordpiece_of_single_digits,
        wordpiece_with_another_mark,
        byte_level,
        end_of_word,
        end_of_every_digit,
        prefixed_pieces,
        metaspace,
    )
}


@cache
def unigram() -> Tokenizer:
    """As T5: pieces of digits with what stands around them."""
    pieces = ["<unk>", "▁", *"0123456789.-()%,", "▁the", "▁-1", "-2", "2.", "5.", "(3", "0%", "▁20", "10"]
    made = Tokenizer(models.Unigram([(piece, -float(len(piece) < 2) - 1.0) for piece in pieces], unk_id=0))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    return made


class Joined:
    """subword-nmt's spelling, one piece for each one or two digits: `20@@ 24`, and each word by itself."""

    def __init__(self) -> None:
        pairs = [f"{n:0{w}d}" for w in (1, 2) for n in range(10**w)]
        self.tokens = [".", ".@@", *WORDS, *pairs, *(f"{p}@@" for p in pairs)]
        self.ids = {token: i for i, token in enumerate(self.tokens)}

    def get_vocab(self) -> dict[str, int]:
        return self.ids

    def decode(self, ids: list[int]) -> str:
        return " ".join(self.tokens[i] for i in ids).replace("@@ ", "")

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        pieces = []
        for word in text.split():
            cut = [word] if word in self.ids else [word[i : i + 2] for i in range(0, len(word), 2)]
            pieces += [f"{piece}@@" for piece in cut[:-1]] + cut[-1:]
        return [self.ids[piece] for piece in pieces]


def numbers(vocab: NumberVocab, ids: list[int], number_format: str = "digits") -> list[Fraction]:
    """The unsigned numbers that a loss reads."""
    spans = number_spans(torch.tensor([ids], dtype=torch.int64), vocab.tables, number_format)
    found: dict[int, Fraction] = {}
    for t in spans.is_number[0].nonzero().flatten().tolist():
        worth = int(spans.value[0, t]) * Fraction(10) ** int(spans.place[0, t])
        found[int(spans.number[0, t])] = found.get(int(spans.number[0, t]), Fraction(0)) + worth
    return list(found.values())
