"""Decoding held to an answer format: only tokens that leave the text the start of a match, and no end before a match.

    pattern r"(1[0-2]|[1-9]):[0-5][0-9]"      after "1": a digit 0–2 or ":"      after "12:5": one digit      then the end

Characters decide, not tokens, so that any tokenizer can be held to any regular expression: a token may come next when the
text with it can still become a match (`partial` matching of the package `regex`).
"""

from functools import cache
from typing import Any

import regex
import torch
from torch import Tensor
from transformers import LogitsProcessor

from ntil.data.task import Task
from ntil.errors import UserError
from ntil.models.adapters import Adapter


class AnswerConstraint(LogitsProcessor):
    """Sets the logits of all tokens that may not come next to −inf.

    prompt_length: tokens in `input_ids` before the answer. Rows that have ended are left alone.
    """

    def __init__(self, adapter: Adapter, pattern: str, prompt_length: int, vocab_size: int) -> None:
        try:
            self.pattern = regex.compile(rf"(?:{regex.escape(adapter.before_answer)})?(?:{pattern})")
        except regex.error as error:
            raise UserError(
                f"the task's answer_pattern {pattern!r} is no regular expression: {error}."
            ) from error
        self.stop_ids, self.prompt_length, self.vocab_size = adapter.stop_ids, prompt_length, vocab_size
        self.texts = token_texts(adapter.tokenizer)
        self._by_first: dict[str, list[tuple[int, str]]] = {}
        for token_id, text in self.texts.items():
            if token_id < vocab_size and token_id not in self.stop_ids and text:
                self._by_first.setdefault(text[0], []).append((token_id, text))
        self._allowed: dict[str, Tensor] = {}

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids [B, T], scores [B, V] → scores [B, V]."""
        scores = scores.clone()
        for row, ids in enumerate(input_ids[:, self.prompt_length :].tolist()):
            if not set(ids) & set(self.stop_ids):
                text = "".join(self.texts.get(token, "") for token in ids)
                scores[row, ~self.allowed(text).to(scores.device)] = -torch.inf
        return scores

    def allowed(self, text: str) -> Tensor:
        """[V] True for the tokens that may follow `text`; the end where it is a match, or where nothing else may."""
        if text not in self._allowed:
            mask = torch.zeros(self.vocab_size, dtype=torch.bool)
            for first, tokens in self._by_first.items():
                if self._is_start(text + first):
                    mask[[i for i, more in tokens if len(more) == 1 or self._is_start(text + more)]] = True
            if self.pattern.fullmatch(text) or not mask.any():
                mask[list(self.stop_ids)] = True
            self._allowed[text] = mask
        return self._allowed[text]

    def _is_start(self, text: str) -> bool:
        return self.pattern.fullmatch(text, partial=True) is not None


@cache
def token_texts(tokenizer: Any) -> dict[int, str]:
    """Token id → the text that it adds behind other text; tokens of a few bytes of a character are left out."""
    vocab: dict[str, int] = tokenizer.get_vocab()
    ids = sorted(vocab.values())
    anchor = vocab.get(":", ids[-1])  # behind which a decoder that drops leading spaces drops none
    before = tokenizer.decode([anchor])
    decoded = tokenizer.batch_decode([[anchor, token] for token in ids], clean_up_tokenization_spaces=False)
    texts = {token: text.removeprefix(before) for token, text in zip(ids, decoded, strict=True)}
    return {token: text for token, text in texts.items() if "\N{REPLACEMENT CHARACTER}" not in text}


def pattern_to_hold(task: Task, constrained: bool) -> str | None:
    """The answer format that decoding is held to, None where it is not; UserError where the task has none."""
    if constrained and task.answer_pattern is None:
        raise UserError(f"evaluation.constrained needs an answer_pattern, and task={task.name} has none.")
    return task.answer_pattern if constrained else None
