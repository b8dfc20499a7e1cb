"""The total of a scanned receipt.

    prompt  Total?          (a config value)
    answer  12.80           two decimals; a thousand is 1000.00

An answer is parsed when it is one such number and nothing else. Metrics, and what an item without a number is counted as:
tasks/quantities.py. Results are also given by whether the total is legible: as high in the scan as digits need to be
(data_prep/receipts.py).

Version 1: first version.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from PIL import Image, ImageDraw

from ntil.data.example import Example
from tasks.drawing import ANSWER, TRUTH, caption_font, enlarged
from tasks.encodings import DecimalFormat
from tasks.quantities import QuantityTask


class ReceiptTask(QuantityTask):
    """See the module's docstring. question: the prompt's text."""

    name: ClassVar[str] = "receipt"
    version: ClassVar[int] = 1
    groups: ClassVar[Sequence[str]] = ("legible",)
    format = DecimalFormat(places=2)

    def __init__(self, question: str = "What is the total?", max_new_tokens: int = 12) -> None:
        self.question, self.max_new_tokens = question, max_new_tokens

    def prompt(self, example: Example) -> str:
        return self.question

    def draw(self, image: Image.Image, parsed: Any | None, example: Example | None) -> Image.Image:
        """The picture at least 256 pixels large, with the truth (green) and the answer (orange) in its corner."""
        image, _ = enlarged(image)
        pen, font = ImageDraw.Draw(image), caption_font(24)
        if example is not None:
            pen.text((6, 6), self.answer(example), fill=TRUTH, font=font)
        if parsed is not None:
            pen.text((6, 36), f"{parsed}", fill=ANSWER, font=font)
        return image
