"""Pickles that hold plain data, and nothing that could run.

A pickle is a program: it may name any function of any module and call it. RefCOCO's `refs(*).p` need none of that, so
here every name is refused, and with it all that a pickle could do: calls, objects, persistent ids.
"""

import io
import pickle
from pathlib import Path
from typing import Any, ClassVar

from ntil.errors import UserError


class _Refused(pickle.UnpicklingError):
    """The message says what was asked for."""


class _PlainUnpickler(pickle._Unpickler):
    """Python's own twin of the one in C, which a few bytes can ask for gigabytes (a memo of any size)."""

    dispatch: ClassVar = {
        code: do for code, do in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> Any:
        raise _Refused(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("it asks for an object from outside")


def read_plain_pickle(path: Path) -> Any:
    """The lists, dicts, tuples, texts and numbers of a pickle, Python 2's included. UserError for anything else."""
    try:
        return _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except _Refused as refusal:
        raise UserError(
            f"{path} is no plain data: {refusal}. A pickle that names code can run it, so it is not opened. "
            "Download the file again from its owners."
        ) from None
    except Exception as error:  # noqa: BLE001 - a broken pickle can raise nearly anything
        raise UserError(f"{path} cannot be read as a pickle ({type(error).__name__}: {error}).") from None
