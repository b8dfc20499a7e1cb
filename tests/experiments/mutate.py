"""Files spoilt at random, as text and as JSON: truncated, of other types and encodings, nested, with numbers beyond all limits."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

DEEP = b"[" * 100_000
PIECES = [
    *(
        b"\x00",
        b"\r",
        b"\r\n",
        b"\n",
        b"\n\n",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\x1b[31m",
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b"1e400",
        b"-1e400",
        b"NaN",
        b"Infinity",
        b"9" * 10_000,
        b"0" * 5000,
        b"1e-400",
        b"-0",
        b"null",
        b"true",
        b"[]",
        b"{}",
    ),
    *(
        b'"\\ud800"',
        b"\\ud800",
        b"\xed\xa0\x80",
        b"${a}",
        b"*a",
        b"&a",
        b"!!python/object:os.system",
        b"../../x",
        b",",
        b":",
    ),
    *(
        b"<script>",
        b"a" * 200_000,
        b"\xe2\x80\xa8",
        b"- ",
        b"? ",
        b"|",
        b"%",
        b"=1+1",
        b"/",
        b"+",
        b"_",
        b"\xd9\xa3",
    ),
]
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        10**18,
        10**400,
        -(10**30),
        0.5,
        -0.0,
        1e308,
        float("inf"),
        float("-inf"),
        float("nan"),
    ),
    *(
        "",
        "a",
        "x" * 5000,
        "../../x",
        "\x00",
        "\r",
        "a\nb",
        "\x1b[31m",
        "<script>",
        "1e400",
        "9" * 5000,
        "${a}",
        "$x^{$",
    ),
    *(
        [],
        {},
        [[]],
        {"a": {}},
        [None],
        [[["a"]]],
        {"": ""},
        {"run": 1},
        ["a"] * 5000,
        {"_target_": "os.system"},
        "٣",
        "²",
        "_a",
    ),
]


def spoilt(data: bytes, chance: random.Random, values: bool = True) -> bytes:
    """values: the file is JSON or JSON lines, and a value may be replaced as well as bytes."""
    if values and chance.random() < 0.6:
        return _other_value(data, chance)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        data = _other_bytes(data, chance)
    return data


def _other_bytes(data: bytes, chance: random.Random) -> bytes:
    at, to = sorted((chance.randint(0, len(data)), chance.randint(0, len(data))))
    kind = chance.randrange(10)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[at:]
    if kind == 2:
        return data[:at] + data[to:]
    if kind == 3:
        return data[:to] + data[at:]
    if kind == 4 and data:
        return data[: at - 1] + bytes([chance.randrange(256)]) + data[at:]
    if kind == 5:
        lines = data.splitlines(keepends=True)
        chance.shuffle(lines)
        return b"".join(lines)
    if kind == 6 and chance.random() < 0.1:
        return chance.choice((data.decode(errors="replace").encode("utf-16"), DEEP, b"", b"\x00" * 100))
    return data[:at] + chance.choice(PIECES) + data[at:]


def _other_value(data: bytes, chance: random.Random) -> bytes:
    lines = data.decode().splitlines()
    rows = (
        [json.loads(data)]
        if data.startswith(b"{\n") or len(lines) == 1
        else [json.loads(line) for line in lines]
    )
    for _ in range(chance.choice((1, 1, 2))):
        row = chance.randrange(len(rows))
        places = list(_places(rows[row]))
        node, key = chance.choice(places)
        value = copy.deepcopy(chance.choice(VALUES))
        if isinstance(node, dict) and chance.random() < 0.2:
            node.pop(key)
        elif isinstance(node, dict) and chance.random() < 0.1:
            node[str(value)[:50]] = node.pop(key)
        else:
            node[key] = value
    return "\n".join(map(_dumped, rows)).encode(errors="surrogatepass")


def _dumped(row: Any) -> str:
    try:
        return json.dumps(row)
    except ValueError:  # 10,000 digits
        return "9" * 10_000


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from _places(node[key])
