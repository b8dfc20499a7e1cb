"""Ctrl-C while a command's imports run, which takes seconds, ends it without a traceback.

Importing this module begins it, in the project's own commands alone; `import ntil` does so before all else.
`end_quiet_start` ends it once the command is in charge of its end (ntil.errors).
"""

import os
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

SCRIPTS = ("train.py", "evaluate.py", "predict.py")
PACKAGES = ("ntil", "data_prep", "experiments")
ROOT = Path(__file__).resolve().parents[1]


def begin_quiet_start() -> None:
    """Does nothing in a process that is not one of the project's commands, or to which Ctrl-C means something already."""
    if is_command(sys.orig_argv) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        try:
            signal.signal(signal.SIGINT, _end)
        except ValueError:  # another thread imports us
            return


def end_quiet_start() -> None:
    """From here on Ctrl-C is KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def is_command(typed: list[str]) -> bool:
    """Whether these words (sys.orig_argv) start a command of this project: `python -m <package>…` or a script of ours."""
    for option, word in pairwise(typed):
        if option == "-m":
            return word.split(".")[0] in PACKAGES
    return any(Path(word).name in SCRIPTS and Path(word).resolve().parent == ROOT for word in typed[1:3])


def _end(number: int, frame: Any) -> None:
    os.write(2, b"Interrupted.\n")
    os._exit(130)  # nothing has been done yet


begin_quiet_start()
