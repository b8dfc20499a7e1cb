"""An answer format: one object that writes a value as text, reads it back, and gives the regular expression between them.

    value ──write──▶ "3:25" ──read──▶ value          pattern  (?:[1-9]|1[0-2]):[0-5][0-9]

Reading what was written gives the same value, and the pattern matches all that is written, so that prompts to train on,
the parser and constrained decoding cannot drift apart. tests/tasks/test_formats.py tries both on made-up values.
"""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

V = TypeVar("V")


class AnswerFormat(ABC, Generic[V]):
    """Between values and texts.

    To give
        write    a value's one text
        read     strictly: the value of a text, None where it holds none; `read(write(value)) == value`

    With a default
        pattern  a regular expression that fully matches whatever `write` gives, for `evaluation.constrained`; None (the
                 default) where there is no such form, as for free text. It may match more than `read` takes, such as a box
                 of no extent.
    """

    @property
    def pattern(self) -> str | None:
        return None

    @abstractmethod
    def write(self, value: V) -> str: ...

    @abstractmethod
    def read(self, text: str) -> V | None: ...
