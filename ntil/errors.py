"""The one exception that means "the user can fix this"; commands print it without a traceback."""

import difflib
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from ntil.escape import terminal

# What Python raises where a file's content has another type or size than its reader took for granted.
UNEXPECTED = (
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
)
LINES = "\n\t"  # that a message may have
BROKEN_PIPE = 141  # as a shell says it: 128 + SIGPIPE


class UserError(Exception):
    """A mistake in an input, an option or a file. The message names the value and says what to do."""


def did_you_mean(word: str, choices: Iterable[str], most: int = 3) -> str:
    """'' or a sentence naming the choices nearest to `word`: " Did you mean 'ntil'?"."""
    near = difflib.get_close_matches(word, list(choices), n=most, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def guard(action: Callable[[], int]) -> int:
    """The exit code of a command: what `action` returns, 2 for a mistake that the user can mend, 130 for Ctrl-C.

    141 where nobody reads the output any more (`… | head`). A console that lacks a letter gets its code.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = action()
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"error: {terminal(str(error), keep=LINES)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        with suppress(OSError, ValueError, AttributeError):  # or Python complains when it closes the stream
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
