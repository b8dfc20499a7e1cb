"""Whatever an annotation file holds, a build ends with records and reasons, or with a message: nothing else is raised.

Sound files are mutated: values replaced in their structure, and bytes in what they are written as.
"""

import contextlib
import copy
import json
import pickle
import random
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ntil.errors import UserError
from tests.data_prep.detection_sets import annotation, coco, instances, picture, ref, refcoco, thing, voc

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 17.5, float("nan"), float("inf"), 10**400, 10**5000, "", " ", "a.png", "1", "NaN", "1e400",
    "\0", "\ud800", "é\n\t", "../../x", "/etc/passwd", "x" * 3000, [], {}, [[]], [1, 2], {"id": 1}, {"a": []}, "train", "b.png",
    [1, 2, 3, 4], [5, 5, 0, 0], [-9e9, 0, 1, 1], "http://[x", "testA", b"bytes", (1, 2),
]  # fmt: skip


def content() -> dict[str, Any]:
    images = [
        {"id": n, "file_name": f"{name}.png", "width": 60, "height": 40} for n, name in enumerate("abc")
    ]
    tents = [
        {"id": n, "image_id": n % 3, "category_id": 1 + n % 2, "bbox": [n, n, 20, 15], "iscrowd": int(n == 4)}
        for n in range(6)
    ]
    return instances(*images, annotations=tents)


def refs() -> list[Any]:
    return [ref(n, n, ("train", "val", "testA")[n % 3], "the tent", "left tent") for n in range(6)]


def mutated(value: Any, rng: random.Random) -> Any:
    """A copy in which some values, keys and elements are others."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(value)
    for node, key in rng.sample(places, min(len(places), rng.choice((1, 1, 2, 3, 8)))):
        action = rng.random()
        if action < 0.7:
            node[key] = rng.choice(ODD)
        elif isinstance(node, dict):
            node.pop(key, None)
        elif node:
            node.append(copy.deepcopy(rng.choice(node)))
    return value


def garbled(data: bytes, rng: random.Random) -> bytes:
    """Bytes replaced, cut out and doubled."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        if not changed:
            break
        place, length = rng.randrange(len(changed)), rng.choice((1, 1, 1, 4, 40))
        action = rng.random()
        if action < 0.6:
            changed[place] = rng.choice((rng.randrange(256), *b'\0\xff<>&;"{}[],:.09eN-'))
        elif action < 0.8:
            del changed[place : place + length]
        else:
            changed[place:place] = changed[place : place + length]
    return bytes(changed)


def as_json(value: Any) -> str:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(value, default=lambda odd: list(odd), skipkeys=True)
    finally:
        sys.set_int_max_str_digits(limit)


XML = annotation(
    thing("cat", more="<difficult>0</difficult>"), thing("cat", (1, 1, 9, 9), "<difficult>1</difficult>"), thing("dog"),
    more="<filename>a.png</filename><size><width>60</width><height>40</height></size>",
).encode()  # fmt: skip


def try_coco(raw: Path, rng: random.Random) -> Any:
    text = as_json(mutated(content(), rng))
    if rng.random() < 0.3:
        text = garbled(text.encode(), rng).decode("latin-1")
    encoding = rng.choice(("utf-8", "utf-8", "utf-16", "latin-1", "utf-8-sig"))
    mode = rng.choice(("single", "largest", "all"))
    return coco(raw, text, encoding, mode=mode, size=rng.choice((None, 16)))


TEXTS = ["", " ", "cat", "7", "-3", "1e400", "nan", "9" * 400, "&", "<", "&eacute;", "&#0;", "<a/>", "<b>", "\0", "é", "1", "yes",
         "../x.png", "b.png", "c.jpg", "<![CDATA[", "]]>", "<!--", "x" * 3000, "0", "60"]  # fmt: skip


def odd_xml(rng: random.Random) -> bytes:
    """Some of the texts between tags are others, and maybe some bytes."""
    parts = re.split(r"(?<=>)([^<>]*)(?=<)", XML.decode())
    for place in rng.sample(range(1, len(parts), 2), rng.choice((0, 1, 1, 2, 4))):
        parts[place] = rng.choice(TEXTS)
    content = "".join(parts).encode(rng.choice(("utf-8", "utf-8", "utf-16", "latin-1")))
    return garbled(content, rng) if rng.random() < 0.2 else content


def try_voc(raw: Path, rng: random.Random) -> Any:
    listed = garbled(b"a\nb 1\nc\n", rng) if rng.random() < 0.3 else b"a\nb\nc"
    mode = rng.choice(("single", "largest", "all"))
    return voc(raw, {name: odd_xml(rng) for name in "abc"}, listed, mode=mode, size=rng.choice((None, 16)))


def try_refcoco(raw: Path, rng: random.Random) -> Any:
    rows: Any = mutated(refs(), rng)
    if rng.random() < 0.4:
        rows = garbled(pickle.dumps(refs(), rng.choice((0, 1, 2, 4))), rng)
    return refcoco(raw, as_json(mutated(content(), rng) if rng.random() < 0.3 else content()), rows)


def try_pictures(raw: Path, rng: random.Random) -> Any:
    for folder in ("photos", "JPEGImages"):
        path = raw / folder / "b.png"
        path.write_bytes(garbled(picture(path).read_bytes(), rng))
    if rng.random() < 0.5:
        return coco(raw, content(), size=rng.choice((None, 16)))
    return voc(raw, dict.fromkeys("abc", XML), size=rng.choice((None, 16)))


TRIES = {"coco": try_coco, "voc": try_voc, "refcoco": try_refcoco, "pictures": try_pictures}


def attempt(kind: str, folder: Path, seed: int) -> tuple[int, int] | None:
    """(records, skipped) of a build, or None where it ended with a message."""
    raw = folder / kind / "raw"
    for name in "abc":
        for place in ("photos", "JPEGImages", "train2014"):
            if name != "b" or not (raw / place / "b.png").exists() or kind == "pictures":
                picture(raw / place / f"{name}.png")
    shutil.rmtree(folder / kind / "out", ignore_errors=True)
    with contextlib.suppress(UserError):
        examples, skipped = TRIES[kind](raw, random.Random(f"{kind} {seed}"))
        return len(examples), len(skipped)
    return None


@pytest.mark.parametrize("kind", TRIES)
def test_sound_files_are_read_whole(kind: str, tmp_path: Path) -> None:
    """What the other tests start from is no empty set."""
    raw = tmp_path / "raw"
    for name in "abc":
        for place in ("photos", "JPEGImages", "train2014"):
            picture(raw / place / f"{name}.png")
    if kind == "coco":
        examples, _ = coco(raw, content(), mode="all")
    elif kind == "voc":
        examples, _ = voc(raw, dict.fromkeys("abc", XML), mode="all")
    else:
        examples, _ = refcoco(raw, content(), refs())
    assert len(examples) >= 5


@given(kind=st.sampled_from(sorted(TRIES)), seed=st.integers(0, 2**32))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_nothing_but_messages_is_raised(kind: str, seed: int, tmp_path: Path) -> None:
    attempt(kind, tmp_path, seed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", TRIES)
def test_ten_thousand_odd_sets(kind: str, tmp_path: Path) -> None:
    """2,500 of each kind."""
    built = [attempt(kind, tmp_path, seed) for seed in range(2_500)]
    assert sum(one is not None for one in built) > 800, "many builds go on"
    assert sum(one[1] > 0 for one in built if one) > 300, "and name what they skip"
