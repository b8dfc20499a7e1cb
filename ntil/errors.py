"""The one exception that means "the user can fix this"; commands print it without a traceback."""

import difflib
import sys
from collections.abc import Callable, Iterable


class UserError(Exception):
    """A mistake in an input, an option or a file. The message names the value and says what to do."""


def did_you_mean(word: str, choices: Iterable[str], most: int = 3) -> str:
    """'' or a sentence naming the choices nearest to `word`: " Did you mean 'ntil'?"."""
    near = difflib.get_close_matches(word, list(choices), n=most, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def guard(action: Callable[[], int]) -> int:
    """The exit code of a command: what `action` returns, 2 for a mistake that the user can mend, 130 for Ctrl-C."""
    try:
        return action()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
