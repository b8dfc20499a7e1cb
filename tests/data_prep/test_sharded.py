"""Builders write shards straight away, and a built set becomes shards: the same records and pictures, whole or not at all."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import data_prep
from data_prep import sharded
from data_prep.__main__ import main
from data_prep.configs import read, with_overrides
from data_prep.made import Made
from data_prep.shard import Joined, shard
from data_prep.sharded import Sharding
from data_prep.writer import Plan, Skipped, write
from ntil.data.dataset import picture_file
from ntil.data.example import Example, read_examples, read_manifest
from ntil.errors import UserError
from ntil.io import read_json, sha256

pytest.importorskip("pyarrow")
ROOT = Path(__file__).resolve().parents[2]
HEADER = {"builder": "numbers", "version": 1, "config": {"name": "numbers"}}
FORMATS = ("parquet", "webdataset")
SIZES = ["--size", "24", "--train", "9", "--val", "2", "--test", "5", "--heldout-faces", "3"]


def tree(folder: Path) -> dict[str, bytes]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def content(root: Path) -> dict[str, list[tuple[str, bytes | None]]]:
    """Split → the line and the picture's bytes of each record."""
    return {
        split: [
            (example.to_line(), None if example.image is None else picture_file(example, root))
            for example in read_examples(root, split)
        ]
        for split in read_manifest(root)["counts"]
    }


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_the_command_writes_what_it_writes_as_files(form: str, tmp_path: Path) -> None:
    assert main(["clock", "--out", str(tmp_path / "files"), *SIZES, "--workers", "1"]) == 0
    asked = ["--shards", form, "--records-per-shard", "4"]
    for workers in ("1", "2"):
        assert main(["clock", "--out", str(tmp_path / workers), *SIZES, *asked, "--workers", workers]) == 0
    assert tree(tmp_path / "1") == tree(tmp_path / "2"), "the number of processes changes nothing"
    assert content(tmp_path / "1") == content(tmp_path / "files")
    one, other = read_manifest(tmp_path / "1"), read_manifest(tmp_path / "files")
    assert {key: one[key] for key in other} == other, "hashes of records and pictures, too"
    assert one.keys() - other.keys() == {"shards", "shard_files"}
    same = [(tmp_path / root / "contact_sheet.png").read_bytes() for root in ("1", "files")]
    assert same[0] == same[1]
    assert [entry["records"] for entry in one["shard_files"]] == [4, 4, 1, 2, 1, 4, 3]
    assert {
        Path(entry["name"]).name.split("-of-")[1][:5]
        for entry in one["shard_files"]
        if entry["split"] == "train"
    } == {"00003"}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_a_built_set_becomes_the_same_shards(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--records-per-shard", "4", "--workers", "2"]
    assert main(["clock", "--out", str(tmp_path / "files"), *SIZES, "--workers", "1"]) == 0
    before = tree(tmp_path / "files")
    command = ["shard", str(tmp_path / "files"), "--to", str(tmp_path / "to"), "--format", form, *options]
    assert main(command) == 0
    assert "kept 19 (train 9, val 2, test 5, heldout_faces 3), skipped 0" in capsys.readouterr().out
    assert main(["clock", "--out", str(tmp_path / "direct"), *SIZES, "--shards", form, *options]) == 0
    converted, direct = tree(tmp_path / "to"), tree(tmp_path / "direct")
    manifests = [json.loads(one.pop("manifest.json")) for one in (converted, direct)]
    assert converted == direct
    hashes = manifests[0].pop("sharded_from")
    assert manifests[0] == manifests[1]
    assert hashes == {key: manifests[1][key] for key in ("records_sha256", "pictures_sha256")}
    assert tree(tmp_path / "files") == before
    times = (tmp_path / "to" / "manifest.json").stat().st_mtime_ns
    assert main(command) == 0, "it is there already"
    assert (tmp_path / "to" / "manifest.json").stat().st_mtime_ns == times
    assert main([*command[:-3], "5"]) == 2
    assert "shards.records was 4 and is now 5" in capsys.readouterr().err


def test_a_training_asks_for_them_by_its_data_config(tmp_path: Path) -> None:
    data = with_overrides(read("sums_easy"), [("splits", {"train": 30, "val": 3, "test": 4})])
    plain = data_prep.ensure(data, tmp_path, workers=1)
    folders = {plain}
    for asked in ("webdataset", {"format": "webdataset", "records": 7}, {"records": 7}):
        root = data_prep.ensure({**data, "shards": asked}, tmp_path, workers=1)
        assert root == data_prep.ensure({**data, "shards": asked}, tmp_path, workers=1)
        assert content(root) == content(plain)
        folders.add(root)
    assert len(folders) == 4
    assert data_prep.folder_name({**data, "shards": None}) == plain.name


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("zip", "no format 'zip' of shards"),
        ("parkuet", "Did you mean 'parquet'"),
        ({"records": 0}, "shards of 0 records"),
        ({"records": "many"}, "data.shards.records"),
        ({"size": 3}, "no setting 'size'"),
        (7, "data.shards must be"),
        ([], "data.shards must be"),
    ],
)
def test_what_cannot_be_asked_for(asked: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        data_prep.folder_name({**read("sums_easy"), "shards": asked})


def drawn(job: int) -> Made | Skipped:
    """Five splits in turn, some skipped, and every seventh with the picture of number 0."""
    if job % 5 == 3:
        return Skipped(str(job), "a three")
    split = "abcd"[job // 10 % 4]
    name = f"images/{split}/{job}.png"
    return Made(Example(f"{split}-{job}", split, {"n": job}, name), b"0" if job % 7 == 0 else b"%d" % job)


def a_text(example: Example) -> str:
    return example.id


def plan(count: int = 60) -> Plan:
    return Plan(list(range(count)), drawn, a_text, sheet=lambda out: None, unique_across_splits=True)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("records", [1, 4, 7, 25, 1000])
def test_what_is_dropped_later_is_taken_out_of_its_shard(form: str, records: int, tmp_path: Path) -> None:
    files = write(tmp_path / "files", plan(40), HEADER, workers=1)
    parts = write(tmp_path / "shards", plan(40), HEADER, 1, Sharding(form, records))
    assert content(parts) == content(files)
    one, other = read_manifest(parts), read_manifest(files)
    assert other["counts"]["b"] < 8, "the test drops some"
    assert {key: one[key] for key in other} == other
    assert sum(entry["records"] for entry in one["shard_files"]) == other["kept"]
    assert all(sha256(parts / entry["name"]) == entry["sha256"] for entry in one["shard_files"])
    assert len(list((parts / "shards").iterdir())) == len(one["shard_files"]), "nothing else lies there"


def test_splits_that_return_are_in_order_within_a_split(tmp_path: Path) -> None:
    files = write(tmp_path / "files", plan(), HEADER, workers=1)
    parts = write(tmp_path / "shards", plan(), HEADER, 1, Sharding("webdataset", 25))
    assert content(parts) == content(files)


def breaks(job: int) -> Made | Skipped:
    if job == 17:
        raise RuntimeError("the power went off")
    return drawn(job)


@pytest.mark.parametrize("form", FORMATS)
def test_a_build_that_fails_leaves_nothing(form: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="power"):
        write(tmp_path / "out", Plan(list(range(40)), breaks), HEADER, 1, Sharding(form, 5))
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == []


@pytest.mark.parametrize("form", FORMATS)
def test_what_reads_otherwise_than_it_was_written_is_refused(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(writer: Any, number: int, example: Example, picture: bytes | None) -> None:
        add(writer, number, example, b"other" if picture else None)

    kind = sharded.WRITERS[form]
    add = kind.add
    monkeypatch.setattr(kind, "add", careless)
    with pytest.raises(UserError, match="reads otherwise than it was written"):
        write(tmp_path / "out", plan(), HEADER, 1, Sharding(form, 5))


def built(tmp_path: Path) -> Path:
    return write(tmp_path / "files", Plan(list(range(40)), drawn, a_text, sheet=lambda out: None), HEADER, 1)


def test_pictures_that_have_changed_are_not_made_shards_of(tmp_path: Path) -> None:
    root = built(tmp_path)
    (root / "images/a/1.png").write_bytes(b"2")
    with pytest.raises(UserError, match=r"pictures of .*files have changed since they were written"):
        shard(root, tmp_path / "to", Sharding("webdataset", 5), workers=1)
    (root / "images/a/1.png").unlink()
    with pytest.raises(UserError, match=r"record 'a-1': .*does not exist"):
        shard(root, tmp_path / "to", Sharding("webdataset", 5), workers=2)
    (root / "images/a/1.png").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="leaves its folder"):
        shard(root, tmp_path / "to", Sharding("webdataset", 5), workers=1)
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere", "--to", "out"], "holds no finished data set"),
        (["files", "--to", "out", "--format", "tar"], "no format 'tar'"),
        (["files", "--to", "out", "--records-per-shard", "0"], "shards of 0 records"),
        (["files", "--to", "files"], "already holds a data set"),
        (["files", "--to", "full"], "not a finished data set"),
        (["files", "--to", "out", "--workers", "0"], "workers = 0"),
    ],
)
def test_mistakes_of_the_command(
    tmp_path: Path,
    words: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    built(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    before = tree(tmp_path)
    assert main(["shard", *words]) == 2
    assert says in capsys.readouterr().err
    assert tree(tmp_path) == before


@pytest.mark.slow
def test_a_killed_conversion_leaves_no_set_and_the_next_one_finishes(tmp_path: Path) -> None:
    data = with_overrides(read("sums_easy"), [("splits", {"train": 20_000, "val": 3, "test": 4})])
    root = data_prep.ensure(data, tmp_path, workers=1)
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "data_prep",
        "shard",
        str(root),
        "--to",
        str(out),
        "--format",
        "webdataset",
    ]
    process = subprocess.Popen(
        [*command, "--records-per-shard", "500", "--workers", "1"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    half = tmp_path / ".out.partial" / "shards"
    while not (half.is_dir() and len(os.listdir(half)) > 3):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    shard(root, out, Sharding("webdataset", 500), workers=1)
    assert not half.exists()
    assert (
        read_json(out / "manifest.json")["records_sha256"]
        == read_json(root / "manifest.json")["records_sha256"]
    )
    shutil.rmtree(out)


@pytest.mark.parametrize("lengths", [[3], [0, 2, 0, 5, 1], []])
def test_sequences_one_behind_the_other(lengths: list[int]) -> None:
    parts = [[10 * i + n for n in range(length)] for i, length in enumerate(lengths)]
    whole = [entry for part in parts for entry in part]
    joined = Joined(parts)
    assert (len(joined), list(joined)) == (len(whole), whole)
    for start in range(len(whole) + 2):
        assert [list(joined[start:stop]) for stop in range(len(whole) + 2)] == [
            whole[start:stop] for stop in range(len(whole) + 2)
        ]
    assert [joined[i] for i in range(len(whole))] == whole
