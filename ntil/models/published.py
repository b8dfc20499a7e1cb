"""The adapter of the published families: one prompt template each, their own tokenizers and processors.

    LLaVA   <s>USER: <image>×576\\nWhat time is it? ASSISTANT:| 3:25</s>
                                                             └ labels begin here; everything before is −100

The template is text, tokenised in one piece as the family's own processor does; the answer's tokens are those that it has
as the continuation of that text, so that training and generation see the same prompt.
"""

import re
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ntil.data.dataset import IGNORED, LIKE_TOKENS
from ntil.errors import SpellingError, UserError
from ntil.models.adapters import Adapter
from ntil.models.family import Family
from ntil.models.pictures import pad_to_square
from ntil.models.settings import ModelSettings

OURS = {"attention_mask", "labels"}  # of what a processor returns, made here and in `collate`


class PublishedAdapter(Adapter):
    """See the module's docstring. processor: of transformers, None for text models."""

    def __init__(
        self, settings: ModelSettings, family: Family, tokenizer: Any, processor: Any = None
    ) -> None:
        self.name, self.family_name, self.family = settings.name, settings.family, family
        self.vision, self.tokenizer, self.processor = family.vision, tokenizer, processor
        self.prompt = prompt = settings.prompt
        known = tokenizer.get_vocab()
        self.stop_ids = tuple(known[token] for token in prompt.stop_tokens if token in known)
        if not self.stop_ids:
            raise UserError(
                f"model={self.name}: its tokenizer has none of model.prompt.stop_tokens ({', '.join(prompt.stop_tokens)}); "
                "answers would have no end."
            )
        self.stop_text = prompt.stop_text
        self.before_answer, self._after_answer = prompt.answer.split("{answer}")
        self.pad_token_id = self.stop_ids[-1] if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._begin = [known[prompt.begin]] if prompt.begin is not None else []
        # What is between question and answer: enough context for the answer's tokens to be those of the whole text.
        self._before = prompt.text.split("{question}")[1] or "\n"
        self._before_ids = self._ids(self._before)
        special = {str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}
        special |= {processor.image_token} if processor is not None else set()
        reserved = sorted(token for token in special if not re.fullmatch(family.answer_marks or "", token))
        self._reserved = re.compile("|".join(map(re.escape, reserved)) or "(?!)")

    def encode(self, prompt: str, image: Image.Image | None, answer: str | None) -> dict[str, Tensor]:
        self._refuse_reserved(prompt)
        row = self._encode_question(
            self._question(prompt, self.prompt.image if image is not None else None), image
        )
        if self._begin:
            row = _extend(row, self._begin, 0, front=True)
        if answer is None:
            return row
        asked = len(row["input_ids"])
        reply = self.answer_ids(answer)
        row = _extend(row, reply, 1 if "token_type_ids" in row else 0)
        row["labels"] = torch.tensor([IGNORED] * asked + reply)
        return row

    def question_ids(self, prompt: str) -> list[int]:
        self._refuse_reserved(prompt)
        return [*self._begin, *self._spelled(self._question(prompt, None), prompt)]

    def asked(self, prompt: str, image: Image.Image | None) -> tuple[list[int], Image.Image | None]:
        """For engines that bring the family's processor: the question's tokens with the picture's mark as it is written, once,
        and the picture as the processor takes it. UserError as of `encode`.
        """
        self._refuse_reserved(prompt)
        self._refuse_unfit(image)
        text = self._question(prompt, self.prompt.image if image is not None else None)
        return [*self._begin, *self._ids(text)], self._squared(image)

    def decode(self, token_ids: Tensor) -> str:
        ids = super().written(token_ids)
        text: str = self.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        if self.stop_text is not None:
            text = text.split(self.stop_text)[0].rstrip()
        return text.removeprefix(self.before_answer)

    def written(self, token_ids: Tensor) -> list[int]:
        ids = super().written(token_ids)
        if self.stop_text is not None:
            texts = (self.tokenizer.decode(ids[: end + 1]) for end in range(len(ids)))
            ids = ids[: next((end for end, text in enumerate(texts) if self.stop_text in text), len(ids))]
        return ids

    def save_pretrained(self, folder: str | Path) -> None:
        (self.processor or self.tokenizer).save_pretrained(folder)

    def _encode_question(self, text: str, image: Image.Image | None) -> dict[str, Tensor]:
        self._refuse_unfit(image)
        if image is None:
            return {"input_ids": torch.tensor(self._ids(text))}
        image = self._squared(image)
        encoded = self.processor(images=[image], text=[text], return_tensors="pt", add_special_tokens=False)
        row = {name: encoded[name] for name in encoded if name not in OURS}
        for name in ("input_ids", *LIKE_TOKENS):
            if name in row:
                row[name] = row[name][0]
        if "image_grid_thw" not in row:  # one picture of the family's one size; else patches of any number
            row["pixel_values"] = row["pixel_values"][0]
        if self.processor.image_token_id not in row["input_ids"]:
            raise UserError(
                f"model={self.name}: model.prompt.image ({self.prompt.image!r}) leaves no {self.processor.image_token} in the "
                "prompt, so that the picture would not be seen."
            )
        return row

    def _refuse_unfit(self, image: Image.Image | None) -> None:
        if image is None and self.vision is not None and self.vision.needs_picture:
            raise UserError(f"model={self.name} answers questions about pictures only; this one has none.")
        if image is not None and self.vision is None:
            raise UserError(f"model={self.name} reads text only, and this question has a picture.")

    def _squared(self, image: Image.Image | None) -> Image.Image | None:
        if image is None or self.vision is None or not self.vision.square:
            return image
        red, green, blue = (int(255 * mean) for mean in self.processor.image_processor.image_mean)
        return pad_to_square(image, (red, green, blue))

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def answer_ids(self, answer: str) -> list[int]:
        """As they continue the prompt."""
        self._refuse_reserved(answer)
        before = self._before_ids
        both = self._spelled(self._before + self.before_answer + answer + self._after_answer, answer)
        if both[: len(before)] != before:
            raise SpellingError(
                f"model={self.name}: the answer {answer!r} melts into the prompt's end when it is tokenised; answers must "
                "not begin with white space."
            )
        return both[len(before) :]

    def _question(self, prompt: str, image: str | None) -> str:
        return self.prompt.text.replace("{image}", image or "").replace("{question}", prompt)

    def _spelled(self, text: str, asked: str) -> list[int]:
        """The tokens of `text`; SpellingError where `asked`, which is a part of it, holds signs of the unknown token."""
        ids = self._ids(text)
        unknown = self.tokenizer.unk_token_id
        if unknown not in ids or self.tokenizer.unk_token in text:
            return ids
        if strange := sorted({sign for sign in asked if unknown in self._ids(sign)}):
            raise SpellingError(
                f"model={self.name}: its tokenizer cannot spell {', '.join(map(repr, strange))} of {asked!r}."
            )
        return ids

    def _refuse_reserved(self, text: str) -> None:
        if found := self._reserved.search(text):
            raise SpellingError(f"{text!r} spells {found[0]}, which model={self.name} reserves for itself.")


def _extend(row: dict[str, Tensor], ids: list[int], kind: int, front: bool = False) -> dict[str, Tensor]:
    """The row with more tokens at its end or front; `kind` is what the tensors that go along with the tokens say there."""
    row = dict(row)
    for name in ("input_ids", *LIKE_TOKENS):
        if name in row:
            more = torch.tensor(ids) if name == "input_ids" else torch.full((len(ids),), kind)
            row[name] = torch.cat([more, row[name]] if front else [row[name], more])
    return row
