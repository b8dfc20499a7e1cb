"""Shards hold what a folder's files hold, can be read by others, and nothing hostile in them does harm."""

import io
import json
import multiprocessing
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data_prep.shard import shard
from data_prep.sharded import Sharding
from ntil.data import files
from ntil.data.dataset import PictureError, picture_of
from ntil.data.example import Example, Examples, read_examples, read_manifest
from ntil.data.shards import FORMATS
from ntil.errors import UserError
from ntil.io import read_json, sha256, write_json, write_jsonl

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TEXT = "ü„\u2028\n\\\"{}': 時"


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8 + number, 8), (number * 9, 10, 200)).save(buffer, "PNG")
    return buffer.getvalue()


def record(number: int, split: str, pictures: bool) -> dict[str, Any]:
    found = {
        "id": f"{split}/{number} {TEXT}",
        "split": split,
        "target": {"answer": number, "list": [1.5, None, TEXT], "deep": {"a": 1e-9}},
        "image": f"images/{split}/{number}.png" if pictures else None,
        "meta": {TEXT: TEXT} if number % 2 else {},
    }
    return found | ({"query": TEXT} if number % 3 else {})


def folder(
    root: Path, pictures: bool = True, splits: tuple[str, ...] = ("train", "test"), each: int = 7
) -> Path:
    """A set whose splits follow each other, of records whose texts are hard to keep."""
    records = [record(number, split, pictures) for split in splits for number in range(each)]
    for i, one in enumerate(records if pictures else ()):
        path = root / str(one["image"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(i))
    write_jsonl(root / "records.jsonl", [Example.from_record(one).to_record() for one in records])
    write_json(
        root / "manifest.json",
        {
            "builder": "b",
            "version": 1,
            "config": {"name": "b"},
            "counts": dict.fromkeys(splits, each),
            "skipped": [{"what": "c", "why": "d"}],
            "records_sha256": sha256(root / "records.jsonl"),
        },
    )
    return root


@pytest.fixture(params=sorted(FORMATS))
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shards_of(out: Path) -> list[Path]:
    return [out / entry["name"] for entry in read_json(out / "manifest.json")["shard_files"]]


@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize("records", [1, 3, 5, 100])
def test_a_set_in_shards_is_the_set(tmp_path: Path, form: str, pictures: bool, records: int) -> None:
    source = folder(tmp_path / "a", pictures)
    out = shard(source, tmp_path / "b", Sharding(form, records), workers=1)
    was, now = read_json(source / "manifest.json"), read_manifest(out)
    for key in ("builder", "version", "config", "counts", "skipped", "records_sha256"):
        assert now[key] == was[key], key
    assert {entry["split"] for entry in now["shard_files"]} == {"train", "test"}
    assert all(
        sha256(path) == entry["sha256"]
        for path, entry in zip(shards_of(out), now["shard_files"], strict=True)
    )
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "shards"]
    for split in ("train", "test"):
        wanted, found = read_examples(source, split), read_examples(out, split)
        assert found == wanted
        assert found.places.nbytes == 8 * len(found)
        assert read_examples(out, split, limit=2) == wanted[:2]
        for i in np.random.default_rng(0).permutation(len(found)):
            example = found[i]
            assert example.to_line() == wanted[i].to_line()
            seen = picture_of(example, Path("/nowhere"))
            if pictures:
                assert np.array_equal(np.asarray(seen), np.asarray(picture_of(wanted[i], source)))
            else:
                assert seen is None


def test_one_format_becomes_the_other_and_nothing_is_lost(tmp_path: Path) -> None:
    source = folder(tmp_path / "a")
    first = shard(source, tmp_path / "b", Sharding("webdataset", 4), workers=1)
    second = shard(first, tmp_path / "c", Sharding("parquet", 3), workers=1)
    direct = shard(source, tmp_path / "d", Sharding("parquet", 3), workers=1)
    assert [p.read_bytes() for p in shards_of(second)] == [p.read_bytes() for p in shards_of(direct)]
    assert read_manifest(second)["pictures_sha256"] == read_manifest(first)["pictures_sha256"]


def test_splits_that_are_mixed_are_put_in_order(tmp_path: Path, form: str) -> None:
    rows = [record(number, "train" if number % 2 else "test", False) for number in range(9)]
    source = tmp_path / "a"
    write_jsonl(source / "records.jsonl", rows)
    write_json(source / "manifest.json", {"counts": {"test": 5, "train": 4}})
    out = shard(source, tmp_path / "b", Sharding(form, 2), workers=1)
    for split in ("train", "test"):
        assert read_examples(out, split) == read_examples(source, split)


def _read(examples: Examples) -> list[tuple[str, int]]:
    return [(example.id, picture_of(example, Path()).width) for example in examples]  # type: ignore[union-attr]


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_other_processes_read_them_at_the_same_time(tmp_path: Path, form: str, way: str) -> None:
    out = shard(folder(tmp_path / "a"), tmp_path / "b", Sharding(form, 3), workers=1)
    examples = read_examples(out, "test")
    wanted = [(f"test/{i} {TEXT}", 15 + i) for i in range(7)]
    assert _read(examples) == wanted, "the shards are open before the processes start"
    with multiprocessing.get_context(way).Pool(2) as pool:
        assert pool.map(_read, [examples] * 4, chunksize=1) == [wanted] * 4
    assert _read(pickle.loads(pickle.dumps(examples))) == wanted  # noqa: S301  (our own)


def test_the_datasets_package_reads_them(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    source = folder(tmp_path / "a")
    rows = [
        example.to_record() for example in read_examples(source, "train")
    ]  # of one type, which it wants in a tar
    write_jsonl(
        source / "records.jsonl", [row | {"target": {"a": 1}, "meta": {}, "query": "q"} for row in rows]
    )
    write_json(source / "manifest.json", {"counts": {"train": 7}})
    out = shard(source, tmp_path / "b", Sharding(form, 3), workers=1)
    names = [str(path) for path in shards_of(out) if "train" in path.name]
    loaded = datasets.load_dataset(
        form, data_files={"train": names}, split="train", cache_dir=str(tmp_path / "cache")
    )
    wanted = read_examples(source, "train")
    assert len(loaded) == 7
    for row, example in zip(loaded, wanted, strict=True):
        image = row["image" if form == "parquet" else "png"]
        assert np.array_equal(np.asarray(image), np.asarray(picture_of(example, source)))
        if form == "parquet":
            assert (row["id"], json.loads(row["target"]), row["query"]) == (
                example.id,
                example.target,
                example.query,
            )
        else:
            assert row["json"]["id"] == example.id


def test_a_tar_of_another_writer(tmp_path: Path) -> None:
    """The picture first, long names in pax headers (times too), a folder among the members, another order of keys."""
    path = tmp_path / "shards" / "a.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as archive:
        archive.addfile(_member("deep", kind=tarfile.DIRTYPE))
        for number in range(3):
            name = f"deep/{'long' * 40}-{number}"
            text = json.dumps(dict(reversed(record(number, "test", True).items()))).encode()
            for ending, content in (("jpg", png(number)), ("json", text)):
                member = _member(f"{name}.{ending}", len(content))
                member.mtime = 1.5  # type: ignore[assignment]
                archive.addfile(member, io.BytesIO(content))
    write_json(
        tmp_path / "manifest.json",
        {
            "counts": {"test": 3},
            "shards": {"format": "webdataset"},
            "shard_files": [{"name": "shards/a.tar", "records": 3}],
        },
    )
    examples = read_examples(tmp_path, "test")
    assert examples == [Example.from_record(record(number, "test", True)) for number in range(3)]
    assert [picture_of(examples[i], tmp_path).width for i in (2, 0, 1)] == [10, 8, 9]  # type: ignore[union-attr]


# What is refused


def _member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, link
    return member


def in_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))


GOOD = json.dumps(record(0, "test", False)).encode()
SEEING = json.dumps(record(0, "test", True)).encode()


def _plain(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return _member(name, len(content)), content


def claims(path: Path, size: int) -> None:
    """A member that says it has so many bytes, with a checksum that fits."""
    header = bytearray(_member("0.json", len(GOOD)).tobuf(tarfile.GNU_FORMAT))
    header[124:136] = size.to_bytes(12, "big", signed=True)
    header[124] = 0x80 if size >= 0 else 0xFF
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + GOOD.ljust(1024, b"\0") + b"\0" * 1024)


def with_pax(path: Path, headers: dict[str, str], whole: bool = False) -> None:
    extra = {"pax_headers": headers} if whole else {}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, **extra) as archive:  # type: ignore[arg-type]
        member, content = _plain("0.json", GOOD)
        member.pax_headers = {} if whole else headers
        archive.addfile(member, io.BytesIO(content))


def padded(path: Path, junk: bytes) -> None:
    """Two records, and what is no header between them."""
    in_tar(path, _plain("0.json", GOOD))
    first = path.read_bytes()[:1024]
    path.write_bytes(first + junk + first)


TARS: dict[str, Callable[[Path], object]] = {
    "symbolic link": lambda p: in_tar(p, (_member("0.json", kind=tarfile.SYMTYPE, link="/etc/passwd"), b"")),
    "hard link": lambda p: in_tar(p, _plain("a.json", GOOD), (_member("0.json", kind=tarfile.LNKTYPE, link="a.json"), b"")),
    "pipe": lambda p: in_tar(p, (_member("0.json", kind=tarfile.FIFOTYPE), b"")),
    "device": lambda p: in_tar(p, (_member("0.json", kind=tarfile.CHRTYPE), b"")),
    "absolute": lambda p: in_tar(p, _plain("/0.json", GOOD)),
    "upwards": lambda p: in_tar(p, _plain("a/../../0.json", GOOD)),
    "windows": lambda p: in_tar(p, _plain("C:\\0.json", GOOD)),
    "twice in a record": lambda p: in_tar(p, _plain("0.json", GOOD), _plain("0.json", GOOD)),
    "a key twice": lambda p: in_tar(p, _plain("0.json", GOOD), _plain("1.json", GOOD), _plain("0.json", GOOD)),
    "two pictures": lambda p: in_tar(p, _plain("0.json", SEEING), _plain("0.png", b"1"), _plain("0.jpg", b"1")),
    "no record": lambda p: in_tar(p, _plain("0.png", b"1")),
    "a picture too many": lambda p: in_tar(p, _plain("0.json", GOOD), _plain("0.png", b"1")),
    "a picture too few": lambda p: in_tar(p, _plain("0.json", SEEING)),
    "not JSON": lambda p: in_tar(p, _plain("0.json", GOOD[:-9])),
    "not UTF-8": lambda p: in_tar(p, _plain("0.json", b'{"id": "\xff"}')),
    "a list": lambda p: in_tar(p, _plain("0.json", b"[]")),
    "no target": lambda p: in_tar(p, _plain("0.json", b'{"id": "a", "split": "test"}')),
    "an image outside": lambda p: in_tar(p, _plain("0.json", SEEING.replace(b"images/", b"../")), _plain("0.png", b"1")),
    "nested": lambda p: in_tar(p, _plain("0.json", b"[" * 100_000)),
    "a large record": lambda p: in_tar(p, _plain("0.json", b" " * ((16 << 20) + 1))),
    "huge size": lambda p: claims(p, 1 << 60),
    "larger than the file": lambda p: claims(p, 1 << 14),
    "negative size": lambda p: claims(p, -1024),
    "pax size": lambda p: with_pax(p, {"size": str(1 << 50)}),
    "pax negative size": lambda p: with_pax(p, {"size": "-512"}),
    "a folder that says it has content": lambda p: in_tar(p, (_member("a", 512, kind=tarfile.DIRTYPE), b"x" * 512), _plain("0.json", GOOD)),
    "pax nonsense": lambda p: with_pax(p, {"size": "many", "mtime": "x"}),
    "pax sparse": lambda p: with_pax(p, {"GNU.sparse.map": "0,9999999999", "GNU.sparse.size": "9999999999"}),
    "a global header": lambda p: with_pax(p, {"path": "/etc/passwd"}, whole=True),
    "junk between": lambda p: padded(p, b"x" * 512),
    "an end between": lambda p: padded(p, b"\0" * 1024),
    "empty": lambda p: p.write_bytes(b""),
    "no tar": lambda p: p.write_bytes(b"x" * 5000),
    "compressed": lambda p: in_gz(p),
    "cut": lambda p: (in_tar(p, _plain("0.json", GOOD)), os.truncate(p, 600)),
    "fewer": lambda p: in_tar(p, _plain("0.json", GOOD), _plain("1.json", GOOD), _plain("2.json", GOOD)),
}  # fmt: skip


def in_gz(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(_member("0.json", len(GOOD)), io.BytesIO(GOOD))


def table(path: Path, rows: dict[str, Any] | None = None, **changes: Any) -> None:
    plain = {"id": ["a"], "split": ["test"], "target": ['{"a": 1}'], "meta": [None], "query": [None]}
    columns = {name: value for name, value in ((rows or plain) | changes).items() if value is not None}
    pq.write_table(pa.table(columns), path)


def spoilt(path: Path, at: float) -> None:
    table(path, id=["a" * 999] * 50, split=["test"] * 50, target=["{}"] * 50, meta=None, query=None)
    content = bytearray(path.read_bytes())
    start = int(len(content) * at)
    content[start : start + 20] = b"\xff" * min(20, len(content) - start)
    path.write_bytes(bytes(content))


PARQUETS: dict[str, Callable[[Path], object]] = {
    "no split": lambda p: table(p, split=None),
    "no target": lambda p: table(p, target=None),
    "an open target": lambda p: table(p, target=pa.array([{"a": 1}])),
    "a null id": lambda p: table(p, target=pa.array([None], pa.string())),
    "not JSON": lambda p: table(p, target=["{"]),
    "a list": lambda p: table(p, target=["[[1]]"]),
    "a number as query": lambda p: table(p, query=[7]),
    "an image of bytes alone": lambda p: table(p, image=[b"1"]),
    "an image without path": lambda p: table(p, image=pa.array([{"bytes": b"1"}])),
    "a null path": lambda p: table(p, image=pa.array([{"bytes": b"1", "path": None}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))),
    "an image outside": lambda p: table(p, image=pa.array([{"bytes": b"1", "path": "../a.png"}])),
    "a path of numbers": lambda p: table(p, image=pa.array([{"bytes": b"1", "path": 5}])),
    "empty": lambda p: p.write_bytes(b""),
    "no Parquet": lambda p: p.write_bytes(b"PAR1" + b"x" * 500 + b"PAR1"),
    "cut": lambda p: (table(p), os.truncate(p, 300)),
    "fewer": lambda p: table(p, id=list("abc"), split=["test"] * 3, target=["{}"] * 3, meta=None, query=None),
    **{f"spoilt at {at}": lambda p, at=at: spoilt(p, at) for at in (0.0, 0.1, 0.3, 0.6, 0.9, 0.98)},
}  # fmt: skip
HOSTILE = [("webdataset", name) for name in TARS] + [("parquet", name) for name in PARQUETS]


@pytest.mark.parametrize(("form", "what"), HOSTILE, ids=[f"{form}: {what}" for form, what in HOSTILE])
@pytest.mark.timeout(60)
def test_a_hostile_shard_is_one_message_that_names_it(tmp_path: Path, form: str, what: str) -> None:
    path = tmp_path / "shards" / "hostile"
    path.parent.mkdir()
    (TARS if form == "webdataset" else PARQUETS)[what](path)
    write_json(
        tmp_path / "manifest.json",
        {
            "counts": {"test": 2},
            "shards": {"format": form},
            "shard_files": [{"name": "shards/hostile", "records": 2}],
        },
    )
    with pytest.raises(UserError) as refused:
        _read(read_examples(tmp_path, "test"))
    assert str(path) in str(refused.value)
    assert len(str(refused.value)) < 1500


@pytest.mark.parametrize("kind", [b"not a picture", b"", b"P6 90000 90000 255 ", png(1)[:40]])
def test_a_picture_in_a_shard_that_cannot_be_read_is_named_with_its_record(
    tmp_path: Path, form: str, kind: bytes
) -> None:
    source = folder(tmp_path / "a")
    (source / "images/train/1.png").write_bytes(kind)
    out = shard(source, tmp_path / "b", Sharding(form, 3), workers=1)
    examples = read_examples(out, "train")
    assert picture_of(examples[0], out) is not None
    with pytest.raises(PictureError, match=r"train/1[\s\S]*images/train/1\.png"):
        picture_of(examples[1], out)


def changed(out: Path, **changes: Any) -> None:
    manifest = read_json(out / "manifest.json")
    write_json(out / "manifest.json", manifest | changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shards": {"format": "zip"}}, "format is 'zip'"),
        ({"shards": {"format": ["parquet"]}}, "format is"),
        ({"shards": None}, "format is None"),
        ({"shard_files": []}, "no list of shard_files"),
        ({"shard_files": None}, "no list of shard_files"),
        ({"shard_files": ["a"]}, "has a shard a"),
        ({"shard_files": [{"name": 1, "records": 1}]}, "has a shard"),
        ({"shard_files": [{"name": "shards/gone.tar", "records": 1}]}, "does not exist"),
        ({"shard_files": [{"name": "../out.tar", "records": 1}]}, "leaves its folder"),
        ({"shard_files": [{"name": "/etc/passwd", "records": 1}]}, "leaves its folder"),
        ({"shard_files": [{"name": "shards/link", "records": 1}]}, "leaves its folder"),
        ({"shard_files": [{"name": "shards", "records": 1}]}, "is no file"),
        ({"records_sha256": "ab" * 32}, "has changed since it was written"),
    ],
)
def test_a_manifest_that_does_not_fit(tmp_path: Path, form: str, changes: dict[str, Any], says: str) -> None:
    out = shard(folder(tmp_path / "a"), tmp_path / "b", Sharding(form, 3), workers=1)
    (out / "shards" / "link").symlink_to("/etc/passwd")
    changed(out, **changes)
    with pytest.raises(UserError, match=says):
        read_examples(out, "train")


@pytest.mark.parametrize("how", ["swapped", "left out", "twice", "cut", "another"])
def test_shards_that_are_not_those_of_the_manifest(tmp_path: Path, form: str, how: str) -> None:
    out = shard(folder(tmp_path / "a"), tmp_path / "b", Sharding(form, 3), workers=1)
    entries = read_json(out / "manifest.json")["shard_files"]
    one, two = (out / entries[i]["name"] for i in (0, 1))
    if how == "swapped":
        changed(out, shard_files=[entries[1], entries[0], *entries[2:]])
    elif how == "left out":
        changed(out, shard_files=entries[1:])
    elif how == "twice":
        changed(out, shard_files=[entries[0], *entries])
    elif how == "cut":
        os.truncate(one, one.stat().st_size - 600)
    else:
        one.write_bytes(two.read_bytes())
    with pytest.raises(UserError, match=r"has changed since|twice|it was cut, or changed"):
        read_examples(out, "train")


def test_a_shard_that_changes_while_it_is_read(tmp_path: Path, form: str) -> None:
    out = shard(folder(tmp_path / "a"), tmp_path / "b", Sharding(form, 3), workers=1)
    examples = read_examples(out, "train")
    for path in shards_of(out):
        path.write_bytes(path.read_bytes()[::-1])
    files._opened.cache_clear()
    from ntil.data.shards import parquet

    parquet._opened.cache_clear()
    parquet._group.cache_clear()
    parquet._texts_of.cache_clear()
    with pytest.raises(UserError, match="has changed while it is in use"):
        examples[0]


def test_without_pyarrow_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = shard(folder(tmp_path / "a"), tmp_path / "b", Sharding("parquet", 3), workers=1)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match="pip install pyarrow"):
        read_examples(out, "train")


@pytest.mark.timeout(120)
def test_spoilt_bytes_are_told_or_change_no_record(tmp_path: Path, form: str) -> None:
    """Wherever they lie, whatever they hold, with the size that the manifest says."""
    out = shard(folder(tmp_path / "a"), tmp_path / "b", Sharding(form, 100), workers=1)
    wanted, path = list(read_examples(out, "train")), shards_of(out)[0]
    good, draw, said = path.read_bytes(), np.random.default_rng(0), []
    for _ in range(300):
        content = bytearray(good)
        start = int(draw.integers(len(good)))
        junk = draw.integers(256, size=int(draw.choice([1, 4, 100]))).astype(np.uint8).tobytes()
        content[start : start + len(junk)] = junk[: len(good) - start]
        path.write_bytes(bytes(content))
        try:
            examples = read_examples(out, "train")
            assert list(examples) == wanted
            _read(examples)  # a picture's bytes are no part of the record
        except UserError as error:
            said.append(str(error))
    named = (str(path), "has changed since it was written", "images/train")
    assert len(said) > 100
    assert all(any(name in one for name in named) for one in said)
