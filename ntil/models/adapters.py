"""Between a task's text and a model's tensors: where the prompt, the picture's tokens and the answer go."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ntil.data.dataset import IGNORED
from ntil.errors import SpellingError
from ntil.models.family import Vision
from ntil.models.tiny_processor import TinyProcessor


class Adapter(ABC):
    """What training, evaluation and prediction need of a model family beside the model itself."""

    tokenizer: Any
    pad_token_id: int
    stop_ids: tuple[int, ...]  # any of them ends an answer; a model that writes well writes the first
    stop_text: str | None = None  # so does this text
    vision: Vision | None = None  # the tower whose training `dry_run` counts
    before_answer: str = ""  # what stands between the prompt and the answer's first character

    @abstractmethod
    def encode(self, prompt: str, image: Image.Image | None, answer: str | None) -> dict[str, Tensor]:
        """input_ids [T], labels [T] (−100 but on the answer and its end; only where there is an answer), pictures."""

    @abstractmethod
    def question_ids(self, prompt: str) -> list[int]:
        """The tokens of the prompt in the family's template, without a picture's. SpellingError where it has none."""

    @abstractmethod
    def answer_ids(self, answer: str) -> list[int]:
        """The tokens that are supervised: of the answer, its lead-in and its end. SpellingError where it has none."""

    @abstractmethod
    def decode(self, token_ids: Tensor) -> str:
        """The text of generated tokens [T] up to the answer's end."""

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write the processor's files beside the model's."""

    def written(self, token_ids: Tensor) -> list[int]:
        """The generated tokens [T] before the answer's end."""
        return until_end(token_ids, *self.stop_ids)


class TinyAdapter(Adapter):
    """`<s>` 16 × `<image>` prompt newline | answer `</s>`, a character (or some digits) a token."""

    def __init__(self, processor: TinyProcessor, image_tokens: int) -> None:
        self.processor, self.tokenizer = processor, processor.tokenizer
        self.image_tokens = image_tokens
        self._vocabulary: dict[str, int] = self.tokenizer.get_vocab()
        self.pad_token_id, self.eos_token_id = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        self.stop_ids = (self.eos_token_id,)

    def encode(self, prompt: str, image: Image.Image | None, answer: str | None) -> dict[str, Tensor]:
        image_ids = [] if image is None else [self.tokenizer.image_token_id] * self.image_tokens
        begin, *rest = self.question_ids(prompt)
        question = [begin, *image_ids, *rest]
        reply = [] if answer is None else self.answer_ids(answer)
        encoded = {"input_ids": torch.tensor(question + reply)}
        if answer is not None:
            encoded["labels"] = torch.tensor([IGNORED] * len(question) + reply)
        if image is not None:
            encoded["pixel_values"] = self.processor.image_processor.preprocess(image)["pixel_values"][0]
        return encoded

    def question_ids(self, prompt: str) -> list[int]:
        return [self.tokenizer.bos_token_id, *self._ids(prompt + "\n")]

    def answer_ids(self, answer: str) -> list[int]:
        return [*self._ids(answer), self.eos_token_id]

    def decode(self, token_ids: Tensor) -> str:
        text: str = self.tokenizer.decode(self.written(token_ids), skip_special_tokens=True)
        return text

    def save_pretrained(self, folder: str | Path) -> None:
        self.processor.save_pretrained(folder)

    def _ids(self, text: str) -> list[int]:
        """Cut into characters and runs of digits, so that no text can spell a special token."""
        pieces = self.tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)
        if strange := next((piece for piece, _ in pieces if piece not in self._vocabulary), None):
            raise SpellingError(
                f"`tiny` writes printable ASCII only and cannot spell {strange!r} of {text!r}."
            )
        return [self._vocabulary[piece] for piece, _ in pieces]


def until_end(token_ids: Tensor, *ends: int) -> list[int]:
    """The tokens before the first of `ends`."""
    ids: list[int] = token_ids.tolist()
    return ids[: next((i for i, token in enumerate(ids) if token in ends), len(ids))]
