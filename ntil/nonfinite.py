"""NaN and infinities in files of JSON, which has neither: null, with a note of what it was."""

import math
from collections.abc import Mapping
from typing import Any

from ntil.errors import UserError


def finite(value: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: anywhere in the object they become null, and its `not_finite` says what they were.

    {"a": {"b": nan}} → {"a": {"b": null}, "not_finite": {"/a/b": "nan"}}; the paths are JSON pointers. `restored` undoes it.
    """
    found: dict[str, str] = {}

    def plain(part: Any, path: str) -> Any:
        if isinstance(part, Mapping):
            return {
                key: plain(child, f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}")
                for key, child in part.items()
            }
        if isinstance(part, list | tuple):
            return [plain(child, f"{path}/{index}") for index, child in enumerate(part)]
        if isinstance(part, float) and not math.isfinite(part):
            found[path] = repr(float(part))
            return None
        return part

    clean: dict[str, Any] = plain(value, "")
    return {**clean, "not_finite": found} if found else clean


def restored(value: Any) -> Any:
    """An object that `finite` made, with its NaNs and infinities again; any other as it is. UserError where it does not fit."""
    if not isinstance(value, dict) or not isinstance(value.get("not_finite"), dict):
        return value
    for path, number in value["not_finite"].items():
        node: Any = value
        try:
            *parents, last = (key.replace("~1", "/").replace("~0", "~") for key in str(path).split("/")[1:])
            for key in parents:
                node = node[int(key)] if isinstance(node, list) else node[key]
            place: Any = int(last) if isinstance(node, list) else last
            if node[place] is not None or number not in ("nan", "inf", "-inf"):
                raise ValueError
            node[place] = float(number)
        except (KeyError, IndexError, TypeError, ValueError):
            raise UserError(
                f"not_finite says {str(number)[:20]!r} of {str(path)[:80]!r}, where no such value stands."
            ) from None
    return value


def finite_or_named(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: such values become null, and "not_finite" names them."""
    bad = [name for name, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
    return {**row, **dict.fromkeys(bad), "not_finite": bad} if bad else row
