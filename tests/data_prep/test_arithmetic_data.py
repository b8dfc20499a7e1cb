"""Generated sums are right, apart and recoverable; MATH-401 and DeepMind's files are read as published."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from data_prep.arithmetic.math401 import group
from data_prep.arithmetic.sums import drawn
from data_prep.configs import read, with_overrides
from data_prep.generated import make
from data_prep.registry import request
from ntil.data.example import read_examples, read_manifest
from ntil.errors import UserError

LEVELS = ("sums_easy", "sums_medium")


def check(level: str, split: str, index: int) -> str:
    """One sum: its answer follows from its text alone. Returns the sum."""
    config = request(read(level)).config
    example = make(drawn, config, (split, index)).example
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


ARITHMETIC = {  # module of training → its name in extrapolate/, as the owners' generator writes them
    "arithmetic__add_or_sub": "arithmetic__add_or_sub_big",
    "arithmetic__add_or_sub_in_base": None,
    "arithmetic__add_sub_multiple": "arithmetic__add_sub_multiple_longer",
    "arithmetic__div": "arithmetic__div_big",
    "arithmetic__mixed": "arithmetic__mixed_longer",
    "arithmetic__mul": "arithmetic__mul_big",
    "arithmetic__mul_div_multiple": "arithmetic__mul_div_multiple_longer",
    "arithmetic__nearest_integer_root": None,
    "arithmetic__simplify_surd": None,
    "comparison__sort": "comparison__sort_more",
    "probability__swr_p_sequence": "probability__swr_p_sequence_more_samples",
    "measurement__conversion": "measurement__conversion",
}


def generated(folder: Path, *training: str) -> Path:
    """The generator's folders, one question a file, which names its file."""
    names = {part: list(ARITHMETIC) for part in (*training, "interpolate")}
    names["extrapolate"] = [name for name in ARITHMETIC.values() if name]
    for part, modules in names.items():
        (folder / part).mkdir(parents=True)
        for module in modules:
            (folder / part / f"{module}.txt").write_text(f"{part} {module}\n7\n")
    return folder


LEVELS_OF_TRAINING = ("train-easy", "train-medium", "train-hard")


def test_the_default_config_builds_what_the_generator_writes(tmp_path: Path) -> None:
    out = build(
        "deepmind_mathematics", generated(tmp_path / "raw", *LEVELS_OF_TRAINING), tmp_path / "out", val=0
    )
    manifest = read_manifest(out)
    assert manifest["counts"] == {"train": 12, "test": 4, "extrapolation": 4}
    assert manifest["skipped"] == []
    chosen = read("deepmind_mathematics")["modules"]
    assert [e.query for e in read_examples(out, "extrapolation")] == [
        f"extrapolate {ARITHMETIC[module]}" for module in chosen
    ]


@pytest.mark.parametrize("module", ARITHMETIC)
def test_each_module_finds_its_own_extrapolation_alone(tmp_path: Path, module: str) -> None:
    raw = generated(tmp_path / "raw", *LEVELS_OF_TRAINING)
    out = build("deepmind_mathematics", raw, tmp_path / "out", modules=[module])
    manifest, theirs = read_manifest(out), ARITHMETIC[module]
    if theirs:
        assert [e.query for e in read_examples(out, "extrapolation")] == [f"extrapolate {theirs}"]
        assert manifest["skipped"] == []
    else:
        assert "extrapolation" not in manifest["counts"]
        assert manifest["skipped"] == [
            {
                "what": f"extrapolate/{module}",
                "why": "the folder has no such module, nor a harder one of its name",
            }
        ]


def test_one_folder_of_training(tmp_path: Path) -> None:
    raw = generated(tmp_path / "raw", "train")
    with pytest.raises(UserError, match=r"--set parts.train=\[train\]"):
        build("deepmind_mathematics", raw, tmp_path / "out")
    changes = with_overrides(read("deepmind_mathematics"), [("parts.train", ["train"])])["parts"]
    out = build("deepmind_mathematics", raw, tmp_path / "out", parts=changes, val=0)
    assert read_manifest(out)["counts"] == {"train": 4, "test": 4, "extrapolation": 4}
    with pytest.raises(UserError, match="names a folder twice"):
        build("deepmind_mathematics", raw, tmp_path / "x", parts={"train": ["train"], "test": ["train"]})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_blank_lines_and_encodings_do_not_move_answers_to_other_questions(
    tmp_path: Path, encoding: str
) -> None:
    text = "\r\n1 + 1\r\n2\r\n\r\n2 + 2\r\n\r\n3 + 3\r\n6\r\n  \r\n4 + 4\r\n8\r\n"
    (tmp_path / "raw/train-easy").mkdir(parents=True)
    (tmp_path / "raw/train-easy/m.txt").write_bytes(text.encode(encoding))
    changes = {"parts": {"train": ["train-easy"]}, "modules": [], "val": 0}
    out = build("deepmind_mathematics", tmp_path / "raw", tmp_path / "out", **changes)
    assert [(e.query, e.target["answer"]) for e in read_examples(out, "train")] == [
        ("1 + 1", "2"),
        ("3 + 3", "6"),
        ("4 + 4", "8"),
    ]
    assert read_manifest(out)["skipped"] == [
        {"what": "train-easy/m.txt: 1 questions", "why": "a question without an answer line"}
    ]


def test_a_question_with_undecodable_bytes_is_counted(tmp_path: Path) -> None:
    (tmp_path / "raw/train-easy").mkdir(parents=True)
    (tmp_path / "raw/train-easy/m.txt").write_bytes(b"1 + \xff\n2\n1 + 1\n2\n1 + 2\n" + b"9" * 5000 + b"\n")
    changes = {"parts": {"train": ["train-easy"]}, "modules": [], "val": 0}
    out = build("deepmind_mathematics", tmp_path / "raw", tmp_path / "out", **changes)
    assert [e.query for e in read_examples(out, "train")] == ["1 + 1"]
    assert [skip["why"] for skip in read_manifest(out)["skipped"]] == [
        "the answer is not one number",
        "the question holds bytes that are no text",
    ]


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ({"query": "sin(30°)=", "response": "0.5"}, "0.5"),
        ({"query": "π≈", "response": 3.1416}, "3.1416"),
        ({"query": "2^70=", "response": 2**70}, str(2**70)),
        ({"query": "a\u2028b", "response": " 1 "}, "1"),
        ({"query": "1-2=", "response": "-1", "id": ["odd"]}, "-1"),
        ({"query": "1=", "response": True}, None),
        ({"query": "1=", "response": None}, None),
        ({"query": "1=", "response": [1]}, None),
        ({"query": "1=", "response": float("nan")}, None),
        ({"query": "1=", "response": float("inf")}, None),
        ({"query": "1=", "response": "9" * 5000}, None),
        ({"query": 1, "response": "1"}, None),
        ({"query": " ", "response": "1"}, None),
        ({"query": "\ud800", "response": "1"}, None),
        ({"query": "1=", "response": "\ud800"}, None),
        (["query", "response"], None),
        ("query", None),
    ],
)
def test_each_row_of_math401_is_kept_or_listed(tmp_path: Path, row: object, answer: str | None) -> None:
    good = {"query": "1+1=", "response": "2"}
    out = build(
        "math401", math401(tmp_path / "raw", [json.dumps(r) for r in (good, row, good)]), tmp_path / "out"
    )
    examples, skipped = read_examples(out, "test"), read_manifest(out)["skipped"]
    assert len(examples) + len(skipped) == 3
    assert [e.target["answer"] for e in examples[1:-1]] == ([] if answer is None else [answer])


@pytest.mark.parametrize(
    "line", ["[" * 100_000, "{", '{"query": "1=", "response": ' + "9" * 5000 + "}", "NaN"]
)
def test_a_broken_row_of_math401_spoils_no_other(tmp_path: Path, line: str) -> None:
    good = '{"query": "1+1=", "response": "2"}'
    out = build("math401", math401(tmp_path / "raw", [good, line, good]), tmp_path / "out")
    assert len(read_examples(out, "test")) == 2
    assert len(read_manifest(out)["skipped"]) == 1
