"""The one exception that means "the user can fix this"; commands print it without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in an input, an option or a file. The message names the value and says what to do."""


def did_you_mean(word: str, choices: Iterable[str], most: int = 3) -> str:
    """'' or a sentence naming the choices nearest to `word`: " Did you mean 'ntil'?"."""
    near = difflib.get_close_matches(word, list(choices), n=most, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
