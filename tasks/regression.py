"""Regression: a row of a table as text, and the number that is to be told from it.

    prompt  carat 0.23, cut Ideal, color E, clarity SI2, depth 61.5, table 55, x 3.95, y 3.98, z 2.43; price in dollars?
    answer  00326           padded; 326 as a decimal, +326E+0 in scientific encoding (tasks/encodings.py)

An answer is parsed when it is one number of the encoding and nothing else. Metrics, and what an item without a number is
counted as: tasks/quantities.py.

Version 1: first version.
"""

from typing import ClassVar

from ntil.data.example import Example
from tasks import encodings
from tasks.quantities import QuantityTask


class RegressionTask(QuantityTask):
    """See the module's docstring.

    question      a template with {query}, the row
    encoding      padded (digits in all, places of them decimals), decimal (places) or scientific (significant digits)
    """

    name: ClassVar[str] = "regression"
    version: ClassVar[int] = 1

    def __init__(
        self,
        question: str = "{query}?",
        encoding: str = "padded",
        digits: int = 5,
        places: int = 0,
        significant: int = 3,
        max_new_tokens: int = 16,
    ) -> None:
        self.format = encodings.encoding(encoding, digits, places, significant)
        self.question, self.max_new_tokens = question, max_new_tokens

    def prompt(self, example: Example) -> str:
        return self.question.replace("{query}", example.query or "")
