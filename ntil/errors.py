"""The one exception that means "the user can fix this", and how every command ends: with a message and an exit code."""

import difflib
import errno
import io
import os
import select
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from ntil.escape import terminal
from ntil.startup import end_quiet_start

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
LONGEST_NAME = 255  # bytes, on all usual file systems
# What the system refuses for reasons that are the user's to mend, and how.
ADVICE = {
    errno.ENOSPC: "Make room on the disk; the same command goes on.",
    errno.EDQUOT: "Make room in your quota; the same command goes on.",
    errno.EFBIG: "It is larger than this file system or your limits (ulimit -f) allow.",
    errno.EIO: "The disk does not answer as it should.",
    errno.EROFS: "The file system is read-only; name another folder.",
    errno.EACCES: "Change its permissions, or name another folder.",
    errno.EPERM: "Change its permissions, or name another folder.",
    errno.ENAMETOOLONG: f"A name has {LONGEST_NAME} bytes at most, which é, 時 and the like take 2 to 4 of each.",
    errno.ENOTDIR: "A part of this path is a file where a folder should be.",
    errno.EISDIR: "It is a folder where a file should be.",
    errno.EMFILE: "Too many files are open; raise the limit (ulimit -n).",
    errno.ENFILE: "Too many files are open on this machine.",
    errno.ENOMEM: "The memory is used up.",
}
LINES = "\n\t"  # that a message may have
INTERRUPTED = 130  # 128 + SIGINT
READER_GONE = 141  # what a shell says of a program that wrote into a closed pipe: 128 + SIGPIPE


class UserError(Exception):
    """A mistake in an input, an option or a file. The message names the value and says what to do."""


class SpellingError(UserError):
    """A text that a model's tokenizer cannot write, or that spells one of the marks it keeps for itself."""


def did_you_mean(word: str, choices: Iterable[str], most: int = 3) -> str:
    """'' or a sentence naming the choices nearest to `word`: " Did you mean 'ntil'?"."""
    near = difflib.get_close_matches(word, list(dict.fromkeys(choices)), n=most, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def guard(action: Callable[[], int]) -> int:
    """The exit code of a command: what `action` returns, 2 for a mistake that the user can mend, 130 for Ctrl-C."""
    try:
        with system_refusals_named():
            return action()
    except UserError as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED


@contextmanager
def system_refusals_named() -> Iterator[None]:
    """Around a whole command: a full disk, a missing permission and the like (ADVICE) become a UserError that names the file."""
    try:
        yield
    except OSError as error:
        if error.errno not in ADVICE:
            raise
        raise UserError(refusal(error)) from error


def refusal(error: OSError, path: object = None) -> str:
    """What the system refused, about which file, and what to do."""
    named = path or error.filename2 or error.filename
    if isinstance(named, bytes):
        named = os.fsdecode(named)
    what = error.strerror or str(error)
    said = f"{named}: {what}" if named is not None and not isinstance(named, int) else what
    return f"{said}. {ADVICE.get(error.errno or 0, '')}".rstrip()


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
    end_quiet_start()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)
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
