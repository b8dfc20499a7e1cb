"""Generated sums are right, apart and recoverable; MATH-401 and DeepMind's files are read as published."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from data_prep.arithmetic.math401 import group
from data_prep.arithmetic.sums import make
from data_prep.configs import read, with_overrides
from data_prep.registry import request
from ntil.data.example import read_examples, read_manifest
from ntil.errors import UserError

LEVELS = ("sums_easy", "sums_medium")


def check(level: str, split: str, index: int) -> str:
    """One sum: its answer follows from its text alone. Returns the sum."""
    config = request(read(level)).config
    example = make(config, (split, index)).example
    assert example.query is not None
    operator = example.meta["operator"]
    body = example.query.removesuffix("=")
    at = body.index(operator, 1)
    left, right = Fraction(Decimal(body[:at])), Fraction(Decimal(body[at + 1 :]))
    value = {"+": left + right, "-": left - right, "*": left * right}.get(operator)
    assert Fraction(Decimal(example.target["answer"])) == (value if value is not None else left / right)
    allowed = config.extrapolation_digits if split == "extrapolation" else config.digits
    assert allowed.low <= example.meta["digits"] <= allowed.high
    return example.query


@pytest.mark.parametrize("level", LEVELS)
def test_answers_follow_from_the_text(level: str) -> None:
    sums = {split: {check(level, split, i) for i in range(300)} for split in ("train", "test", "val")}
    assert not sums["train"] & sums["test"]
    assert not sums["train"] & sums["val"]
    swapped = {"+".join(reversed(s.removesuffix("=").split("+"))) + "=" for s in sums["train"] if "+" in s}
    assert not swapped & sums["test"]
    for i in range(50):
        check(level, "extrapolation", i)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_ten_thousand_sums_are_right(level: str) -> None:
    train = {check(level, "train", i) for i in range(10_000)}
    assert not train & {check(level, "test", i) for i in range(1000)}


def test_mistakes_are_explained() -> None:
    for change, message in (
        (("extrapolation_digits", [3, 5]), "must lie above digits"),
        (("operators", ["+", "%"]), "no option '%'"),
        (("splits", {"tset": 4}), "Did you mean 'test'"),
    ):
        with pytest.raises(UserError, match=message):
            request(with_overrides(read("sums_easy"), [change]))


def build(name: str, raw: Path, out: Path, **changes: object) -> Path:
    return request(with_overrides(read(name), [("raw", str(raw)), *changes.items()])).build(out, workers=1)


def math401(folder: Path, rows: list[str]) -> Path:
    folder.mkdir()
    (folder / "math401.json").write_text("\ufeff" + "\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_math401_as_published(tmp_path: Path) -> None:
    rows = [json.dumps({"query": "e^(i*π)+1=", "response": "0"}, ensure_ascii=False)]
    rows += [
        json.dumps({"query": f"{i}×{i}=", "response": str(i * i)}, ensure_ascii=False) for i in range(400)
    ]
    examples = read_examples(build("math401", math401(tmp_path / "raw", rows), tmp_path / "out"), "test")
    assert len(examples) == 401
    assert (examples[0].query, examples[0].meta["group"]) == ("e^(i*π)+1=", "euler")
    assert [sum(e.meta["group"] == f"{g:02d}" for e in examples) for g in range(1, 17)] == [25] * 16
    assert examples[25].meta["group"] == group(25) == "01"
    assert group(26) == "02"


def test_math401_counts_what_it_cannot_use(tmp_path: Path) -> None:
    rows = [
        '{"query": "1+1=", "response": "2"}',
        "{oops",
        '{"query": "1+1="}',
        '{"query": "x", "response": "two"}',
        "[]",
    ]
    out = build("math401", math401(tmp_path / "raw", rows), tmp_path / "out")
    manifest = read_manifest(out)
    assert manifest["counts"] == {"test": 1}
    assert [skip["what"] for skip in manifest["skipped"]] == ["row 2", "row 3", "row 4 ('two')", "row 5"]


def test_math401_makes_no_training_split(tmp_path: Path) -> None:
    data = read("math401") | {"raw": str(tmp_path), "split": "train"}
    with pytest.raises(UserError, match="test set"):
        request(data)
    with pytest.raises(UserError, match=r"math401.json is missing. Its owners publish it at https"):
        build("math401", tmp_path, tmp_path / "out")


def deepmind(folder: Path) -> Path:
    lines = {
        "train-easy": [
            "What is 1 + 2?",
            "3",
            "What is 5 - 7?",
            "-2",
            "Is 3 prime?",
            "True",
            "Sum of 0.1 and 0.2?",
            "0.3",
        ],
        "interpolate": ["What is 4 + 4?", "8", "Alone?"],
        "extrapolate": ["What is 100 + 1?", "101"],
    }
    for part, content in lines.items():
        (folder / part).mkdir(parents=True)
        name = "arithmetic__add_or_sub" + ("_big" if part == "extrapolate" else "")
        (folder / part / f"{name}.txt").write_text("\n".join(content) + "\n")
    return folder


PARTS = {"train": ["train-easy"], "test": ["interpolate"], "extrapolation": ["extrapolate"]}


def test_deepmind_as_published(tmp_path: Path) -> None:
    changes = {"parts": PARTS, "modules": [], "val": 1}
    out = build("deepmind_mathematics", deepmind(tmp_path / "raw"), tmp_path / "out", **changes)
    manifest = read_manifest(out)
    assert manifest["counts"] == {"val": 1, "train": 2, "test": 1, "extrapolation": 1}
    assert manifest["skipped"] == [
        {"what": "train-easy/arithmetic__add_or_sub.txt: 1 questions", "why": "the answer is not one number"},
        {
            "what": "interpolate/arithmetic__add_or_sub.txt: 1 questions",
            "why": "a question without an answer line",
        },
    ]
    first = read_examples(out, "train")[0]
    assert (first.query, first.target["answer"]) == ("What is 5 - 7?", "-2")
    assert first.meta == {"module": "arithmetic__add_or_sub", "part": "train-easy"}


def test_deepmind_names_what_is_missing(tmp_path: Path) -> None:
    raw = deepmind(tmp_path / "raw")
    for changes, message in (
        ({"parts": {"train": ["train-medium"]}}, r"train-medium is missing. Its owners publish"),
        ({"parts": {"train": ["train-esay"]}}, "Did you mean 'train-easy'"),
        ({"parts": PARTS, "modules": ["arithmetic__add_or_sup"]}, "Did you mean 'arithmetic__add_or_sub'"),
    ):
        with pytest.raises(UserError, match=message):
            build("deepmind_mathematics", raw, tmp_path / "out", **changes)
