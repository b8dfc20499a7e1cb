"""Characters in and out: the tokenizer of `tiny`, and labels that decode back to the answer."""

import string
from pathlib import Path

import pytest
import torch
from fixtures import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image
from transformers import PreTrainedTokenizerFast

from ntil.data.dataset import IGNORED
from ntil.errors import UserError
from ntil.models import load_model
from ntil.models.adapters import until_end
from ntil.models.tiny_processor import CHARACTERS, character_tokenizer
from ntil.numbers import NumberVocab

TOKENIZER = character_tokenizer()
CONFIG = OmegaConf.load(REPOSITORY / "conf" / "model" / "tiny.yaml")
ADAPTER = load_model(CONFIG)[1]
PRINTABLE = st.text(CHARACTERS, max_size=30)
BLANK = Image.new("RGB", (64, 64))


def test_all_printable_ascii_comes_back() -> None:
    text = "".join(c for c in string.printable if c.isprintable()) + "\n"
    ids = TOKENIZER(text, add_special_tokens=False).input_ids
    assert len(ids) == len(set(ids)) == len(text)
    assert TOKENIZER.decode(ids) == text
    assert TOKENIZER.unk_token_id not in ids


@given(text=PRINTABLE)
def test_texts_come_back(text: str) -> None:
    ids = TOKENIZER(text, add_special_tokens=False).input_ids
    special = ("<pad>", "<s>", "</s>", "<image>", "<unk>")
    if not any(word in text for word in special):
        assert len(ids) == len(text)
        assert ADAPTER.decode(torch.tensor(ids, dtype=torch.long)) == text


@pytest.mark.parametrize("text", ["<image>", "a<s>b", "</s>", "<pad>", "<unk>"])
def test_special_tokens_cannot_be_smuggled_in(text: str) -> None:
    """A prompt that spells `<image>` must not add a place for a picture, nor an answer end itself."""
    encoded = ADAPTER.encode(text, BLANK, text)
    ids = encoded["input_ids"]
    assert (ids == TOKENIZER.image_token_id).sum() == 16
    assert (ids == TOKENIZER.eos_token_id).sum() == 1
    assert (ids == TOKENIZER.bos_token_id).sum() == 1


@pytest.mark.parametrize(("text", "strange"), [("7 µm", "µ"), ("３:25", "３"), ("a\tb", r"\t"), ("🕒", "🕒")])
def test_what_it_cannot_spell_is_refused(text: str, strange: str) -> None:
    for prompt, answer in ((text, None), ("Time?", text)):
        with pytest.raises(UserError) as caught:
            ADAPTER.encode(prompt, None, answer)
        assert strange in str(caught.value)


@given(
    prompt=st.text("Timwhat? :", max_size=20),
    answer=st.text("0123456789:. ", max_size=8),
    image=st.booleans(),
)
def test_labels_decode_back_to_the_answer(prompt: str, answer: str, image: bool) -> None:
    encoded = ADAPTER.encode(prompt, BLANK if image else None, answer)
    ids, labels = encoded["input_ids"], encoded["labels"]
    assert ids.shape == labels.shape
    supervised = labels[labels != IGNORED]
    assert supervised[-1] == ADAPTER.eos_token_id
    assert ADAPTER.decode(supervised) == answer
    assert torch.equal(ids[labels != IGNORED], supervised)
    assert (labels[: -len(supervised)] == IGNORED).all()
    assert len(ids) == 1 + 16 * image + len(prompt) + 1 + len(answer) + 1


def test_a_question_is_the_start_of_question_and_answer() -> None:
    asked, answered = (ADAPTER.encode("Time?", BLANK, answer)["input_ids"] for answer in (None, "3:25"))
    assert torch.equal(answered[: len(asked)], asked)


def test_an_answer_ends_at_the_first_end() -> None:
    assert until_end(torch.tensor([5, 2, 7, 2]), 2) == [5]
    assert until_end(torch.tensor([2]), 2) == []
    assert until_end(torch.tensor([5, 7]), 2) == [5, 7]


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    text = "What time? 3:25  \n!"
    assert loaded(text).input_ids == TOKENIZER(text).input_ids
    assert loaded.decode(loaded(text).input_ids) == text
    assert loaded.padding_side == "left"
    assert loaded.image_token_id == TOKENIZER.image_token_id


def test_digits_are_number_tokens() -> None:
    vocab = NumberVocab.from_tokenizer(TOKENIZER, vocab_size=len(TOKENIZER))
    ids = TOKENIZER("0123456789", add_special_tokens=False).input_ids
    assert vocab.width[ids].tolist() == [1] * 10
    assert vocab.value[ids].tolist() == list(range(10))
    assert int(vocab.width.sum()) == 10


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("12345", ["123", "45"]),
        ("007:5", ["007", ":", "5"]),
        ("(42,1000)", ["(", "42", ",", "100", "0", ")"]),
    ],
)
def test_up_to_three_digits_a_token(text: str, tokens: list[str]) -> None:
    tokenizer = character_tokenizer(digits=3)
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.convert_ids_to_tokens(ids) == tokens
    assert tokenizer.decode(ids) == text
    assert len(tokenizer) == len(TOKENIZER) + 100 + 1000
    adapter = load_model(OmegaConf.merge(CONFIG, {"digits_per_token": 3}))[1]  # type: ignore[arg-type]
    labels = adapter.encode("Time?", BLANK, text)["labels"]
    assert labels[labels != IGNORED].tolist() == [*ids, tokenizer.eos_token_id]
    assert adapter.decode(labels[labels != IGNORED]) == text


def test_no_more_than_three_digits() -> None:
    with pytest.raises(UserError, match="digits_per_token must be 1, 2 or 3, not 4"):
        load_model(OmegaConf.merge(CONFIG, {"digits_per_token": 4}))  # type: ignore[arg-type]
