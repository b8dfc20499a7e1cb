"""The one exception that means "the user can fix this", and how every command ends: with a message and an exit code."""

import difflib
import io
import os
import select
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

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
READER_GONE = 141  # what a shell says of a program that wrote into a closed pipe: 128 + SIGPIPE


class UserError(Exception):
    """A mistake in an input, an option or a file. The message names the value and says what to do."""


class SpellingError(UserError):
    """A text that a model's tokenizer cannot write, or that spells one of the marks it keeps for itself."""


def did_you_mean(word: str, choices: Iterable[str], most: int = 3) -> str:
    """'' or a sentence naming the choices nearest to `word`: " Did you mean 'ntil'?"."""
    near = difflib.get_close_matches(word, list(choices), n=most, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def guard(action: Callable[[], int]) -> int:
    """The exit code of a command: what `action` returns, 2 for a mistake that the user can mend, 130 for Ctrl-C."""
    try:
        return action()
    except UserError as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def complain(error: Exception | str) -> None:
    """One message on standard error, without what a terminal would obey."""
    print(f"error: {terminal(str(error), keep=LINES)}", file=sys.stderr)


def run_command(main: Callable[[], int]) -> NoReturn:
    """End the process with the exit code of a command's `main`."""
    with at_a_terminal():
        sys.exit(main())


@contextmanager
def at_a_terminal() -> Iterator[None]:
    """Around a whole command: a reader that has had enough (`| head`) ends it quietly, and what the console's encoding
    cannot show is written as an escape.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_is_gone():  # another pipe, and a fault of ours
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        sys.exit(READER_GONE)


def _reader_is_gone() -> bool:
    """Whether standard output is a pipe that nobody reads."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
