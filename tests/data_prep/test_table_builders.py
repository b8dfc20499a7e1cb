"""Tables and series: read out of a stand-in wheel or a folder, split without a leak, and everything left out is named."""

import gzip
import hashlib
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data_prep import wheels
from data_prep.configs import available, read, with_overrides
from data_prep.registry import request
from data_prep.tables.read import plain, read_rows
from data_prep.wheels import WHEELS, read_files
from ntil.data.example import Example
from ntil.errors import UserError

TABLES = [name for name in available() if read(name)["builder"] in ("table", "series")]


def written(folder: Path, text: str, name: str = "mine.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def table(folder: Path, **changes: Any) -> dict[str, Any]:
    own = {
        "wheel": None, "raw": str(folder), "files": ["mine.csv"], "columns": {"a": "size", "b": "kind"}, "target": "y",
        "val": 2, "test": 3, **changes,
    }  # fmt: skip
    return with_overrides(read("diamonds"), list(own.items()))


def series(folder: Path, **changes: Any) -> dict[str, Any]:
    own = {
        "wheel": None, "raw": str(folder), "file": "mine.csv", "columns": ["v"], "period": 2, "history": 4, "horizon": 2,
        "test": 0.25, "val": 0.25, "digits": 4, "places": 0, **changes,
    }  # fmt: skip
    return with_overrides(read("series_airline"), list(own.items()))


def planned(data: dict[str, Any]) -> tuple[list[Example], Counter[str]]:
    asked = request(data)
    plan = asked.builder.plan(asked.config)
    return [plan.make(job).example for job in plan.jobs], Counter(skip.why for skip in plan.skipped)


def test_rows_become_texts(tmp_path: Path) -> None:
    lines = ["a,b,y", *(f"{i / 4},k{i % 2},{100 + i}" for i in range(12))]
    lines += ["0.25,k1,101", "7,NA,55", "8,k,", "9,k,many", "0.250,k1,999"]
    examples, skipped = planned(table(written(tmp_path, "\n".join(lines))))
    assert skipped == {
        "it says the same as an earlier row": 1,
        "its y is missing": 1,
        "its y is no number": 1,
    }
    said = {example.meta["row"]: example for example in examples}
    assert said[2].query == "size 0.25, kind k1"
    assert said[14].query == "size 7, kind unknown"
    counts = Counter(example.split for example in examples)
    assert counts.total() == 14
    assert counts["test"] in (3, 4)  # a group of two rows is not torn
    train = [int(example.target["value"]) for example in examples if example.split == "train"]
    assert {(example.target["low"], example.target["high"]) for example in examples} == {
        (str(min(train)), str(max(train)))
    }
    assert said[2].split == said[17].split  # the same query, another number


def test_no_query_is_in_two_splits_and_a_seed_decides(tmp_path: Path) -> None:
    lines = ["a,b,y", *(f"{i % 40},k,{i}" for i in range(200))]
    folder = written(tmp_path, "\n".join(lines))
    examples, _ = planned(table(folder, val=20, test=30))
    splits: dict[str, set[str]] = {}
    for example in examples:
        splits.setdefault(str(example.query), set()).add(example.split)
    assert len(splits) == 40
    assert all(len(found) == 1 for found in splits.values())
    again, other = (
        planned(table(folder, val=20, test=30))[0],
        planned(table(folder, val=20, test=30, seed=1))[0],
    )
    assert [e.id for e in again] == [e.id for e in examples] != [e.id for e in other]


def test_windows_follow_time(tmp_path: Path) -> None:
    """Twenty values of their own: 0–9 train, 10–14 val, 15–19 test."""
    examples, skipped = planned(series(written(tmp_path, "v\n" + "\n".join(str(i * i) for i in range(20)))))
    assert not skipped
    place = {str(i * i): i for i in range(20)}
    asked: dict[str, set[int]] = {}
    for example in examples:
        future = [place[text] for text in example.target["values"]]
        shown = [place[text] for text in str(example.query).split(",")]
        assert shown + future == [*range(shown[0], shown[0] + 6)]
        asked.setdefault(example.split, set()).update(future)
        if example.split == "train":
            assert max(future) < 10
    assert asked == {"train": {*range(4, 10)}, "val": {*range(10, 15)}, "test": {*range(15, 20)}}
    one = examples[0].target
    assert (one["low"], one["high"]) == ("0", "81")
    assert one["naive_error"] == pytest.approx(sum(i * i - (i - 2) ** 2 for i in range(2, 10)) / 8)


def test_several_columns_averages_and_gaps(tmp_path: Path) -> None:
    wide = written(tmp_path / "wide", "year,v,w\n" + "\n".join(f"{i},{2 * i},{2 * i + 1}" for i in range(10)))
    examples, _ = planned(series(wide, columns=["v", "w"]))
    assert examples[0].query == "0,1,2,3"
    dated = [f"{199001 + month}0{day},{month * 10 + day}" for month in range(20) for day in (1, 3)]
    dated[2:4] = ["19900201,NA", "19900203,"]
    monthly = written(tmp_path / "monthly", "date,v\n" + "\n".join(dated))
    examples, skipped = planned(series(monthly, average_by="date", average_length=6))
    assert examples[0].query == "22,32,42,52"  # windows that hold the second month are left out
    assert skipped == {"a value in it is missing": 2}


@pytest.mark.parametrize(
    ("text", "changes", "words"),
    [
        ("a,b\n1,2\n", {}, "mine.csv has no column 'y'. Its columns: a, b"),
        ("a,b,y\n", {}, "mine.csv holds no rows"),
        ("a,b,y\n1,2\n", {}, "row 1 has 2 cells and the table 3 columns"),
        ("a,b,y\n1,2,3\n", {}, "leave none to train on"),
        ("a,b,y\n1,2,3\n", {"columns": {"y": "y"}}, "the answer would stand in the question"),
        ("a,b,y\n1,2,3\n", {"raw": None}, "data.wheel and data.raw are both null"),
        ("a,b,y\n1,2,3\n", {"wheel": "plotnin"}, "there is no package 'plotnin'. Did you mean 'plotnine'"),
        ("a,b,y\n1,2,3\n", {"files": ["other.csv"]}, "other.csv does not exist"),
        ("a,b,y\n1,2,3\n", {"places": 5}, "leaves no digit before the point"),
    ],
)
def test_tables_that_are_none(text: str, changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        planned(table(written(tmp_path, text), **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"columns": ["w"]}, "has no column 'w'"),
        ({"history": 40}, "too few for a window of 40"),
        ({"period": 3, "history": 2}, "shows less than a season"),
        ({"val": 0.8}, "leave nothing to train on"),
        ({"period": 19, "history": 19}, "hold no season of 19 that changes"),
    ],
)
def test_series_that_are_too_short(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        planned(series(written(tmp_path, "v\n" + "\n".join(map(str, range(20)))), **changes))


def test_files_of_all_kinds() -> None:
    data = gzip.compress(b"1.5 2\n3e0 NA\n"), gzip.compress(b"1.510000000000000000e+02\n7\n")
    rows = read_rows(["x.csv.gz", "y.csv.gz"], data, ["a", "b", "y"])
    assert rows == [{"a": "1.5", "b": "2", "y": "151"}, {"a": "3", "b": "", "y": "7"}]
    objects = json.dumps([{"Name": "a, b", "y": 8}, {"Name": None, "y": 1.50}]).encode()
    assert read_rows(["x.json"], [objects], []) == [{"Name": "a, b", "y": "8"}, {"Name": "", "y": "1.5"}]
    assert read_rows(["x.csv"], [b'\xef\xbb\xbfa;b\n"p;q";2\n'], []) == [{"a": "p;q", "b": "2"}]
    for name, content in (("x.json", b"{}"), ("x.gz", b"no"), ("x.csv", b"\xff\xfe\xfa")):
        with pytest.raises(UserError, match="cannot be read"):
            read_rows([name], [content], [])
    with pytest.raises(UserError, match="as many lines: x 1, y 2"):
        read_rows(["x", "y"], [b"a", b"b\nc"], [])


def test_numbers_are_written_plainly() -> None:
    said = {
        "1.51e+02": "151",
        "25.00": "25",
        "-0.0": "0",
        "1e400": "1e400",
        "007": "7",
        "1_000": "1_000",
        "NaN": "",
    }
    assert {text: plain(text) for text in said} == said


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for plotnine's."""
    path = tmp_path / "wheels" / "toy-1-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/mine.csv", "a,b,y\n1,2,3\n")
        archive.writestr("../../escaped", "no")
    known = wheels.Wheel("toy==1", path.name, hashlib.sha256(path.read_bytes()).hexdigest(), "MIT")
    monkeypatch.setitem(WHEELS, "plotnine", known)
    return path


def test_a_file_of_a_wheel(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for raw in (wheel, wheel.parent):
        assert read_files("plotnine", str(raw), ["toy/mine.csv"]) == [b"a,b,y\n1,2,3\n"]
    with pytest.raises(UserError, match=r"holds no file 'toy/mine\.cvs'. Did you mean 'toy/mine\.csv'"):
        read_files("plotnine", str(wheel), ["toy/mine.cvs"])
    with pytest.raises(UserError, match=r"toy-1-py3-none-any\.whl does not exist\. Put"):
        read_files("plotnine", str(tmp_path), ["toy/mine.csv"])
    assert not list(tmp_path.parent.rglob("escaped"))
    asked = []

    def pip(command: list[str], **_: Any) -> Any:
        asked.append(command)
        Path(command[command.index("--dest") + 1], wheel.name).write_bytes(wheel.read_bytes())
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr("subprocess.run", pip)
    assert read_files("plotnine", None, ["toy/mine.csv"]) == [b"a,b,y\n1,2,3\n"]
    assert asked[0][1:4] == ["-m", "pip", "download"]
    assert asked[0][-1] == "toy==1"
    monkeypatch.setattr("subprocess.run", lambda *_, **__: type("Done", (), {"returncode": 1}))
    with pytest.raises(UserError, match=r"pass the folder that holds it with --raw \(data\.raw="):
        read_files("plotnine", None, ["toy/mine.csv"])
    wheel.write_bytes(wheel.read_bytes() + b"\n")
    with pytest.raises(UserError, match="is damaged or another file"):
        read_files("plotnine", str(wheel), ["toy/mine.csv"])


def test_the_same_wheel_on_any_machine() -> None:
    assert WHEELS["plotnine"].tags == []
    assert WHEELS["statsmodels"].tags == [
        *("--python-version", "311", "--abi", "cp311"),
        *("--platform", "manylinux_2_27_x86_64", "--platform", "manylinux_2_28_x86_64"),
    ]
    assert all(len(known.sha256) == 64 and "==" in known.requirement for known in WHEELS.values())


def test_there_are_enough_sets() -> None:
    builders = Counter(read(name)["builder"] for name in TABLES)
    assert builders["table"] >= 5
    assert builders["series"] >= 3


@pytest.mark.network
@pytest.mark.parametrize("name", TABLES)
def test_real_sets(name: str) -> None:
    examples, _ = planned(read(name))
    assert {example.split for example in examples} == {"train", "val", "test"}
    assert all(str(example.query).isascii() for example in examples)
