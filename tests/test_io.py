"""Files written whole or not at all; JSON and paths that are refused by name."""

import contextlib
import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.errors import UserError, did_you_mean
from ntil.io import (
    PART,
    atomic_folder,
    atomic_open,
    clear_leftovers,
    file_name,
    inside,
    read_json,
    read_jsonl,
    sha256,
    write_json,
    write_jsonl,
    write_text,
)
from ntil.nonfinite import finite, restored

ROOT = Path(__file__).resolve().parents[1]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=4)


@given(rows=ROWS)
def test_rows_round_trip(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    assert write_jsonl(path, rows) == len(rows)
    assert list(read_jsonl(path)) == rows


@given(value=JSON)
def test_json_round_trips(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("value") / "value.json"
    write_json(path, value)
    assert read_json(path) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_what_json_does_not_have_is_not_written(value: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", value)
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with contextlib.suppress(RuntimeError), atomic_open(path) as file:
        file.write("new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_seen_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with atomic_open(path) as file:
        file.write("half")
        file.flush()
        assert not path.exists()
    assert path.read_text() == "half"


def test_files_have_ordinary_permissions(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "")
    (tmp_path / "b").write_text("")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b'{"a": 1}\n\n{"a": \n', "line 3"),
        (b'{"a": 1}\n[1]\n', "line 2.*list"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "rows.jsonl"),
    ],
)
def test_a_bad_line_is_named(content: bytes, word: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=word):
        list(read_jsonl(tmp_path / "rows.jsonl"))


@pytest.mark.parametrize("read", [read_json, lambda path: list(read_jsonl(path))])
def test_a_missing_file_is_the_users_to_mend(read: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.json does not exist"):
        read(tmp_path / "nowhere.json")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b""])
def test_bad_json_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "a/../../secret", "link/x", "link", "a\0b"])
def test_paths_that_leave_the_folder_are_refused(path: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "other").mkdir()
    os.symlink(tmp_path / "other", root / "link")
    with pytest.raises(UserError):
        inside(root, path)


@pytest.mark.parametrize("path", ["a.png", "a/b.png", "a/../b.png", ".", "..a/b"])
def test_paths_that_stay_are_followed(path: str, tmp_path: Path) -> None:
    assert inside(tmp_path, path) == (tmp_path / path).resolve()


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real", tmp_path / "link")
    assert inside(tmp_path, "link/a") == tmp_path / "real" / "a"


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_did_you_mean() -> None:
    assert did_you_mean("ntli", ["ce", "ntil", "emd"]) == " Did you mean 'ntil'?"
    assert did_you_mean("xyz", ["ce", "ntil"]) == ""


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal; from pathlib import Path; from ntil.io import atomic_folder, atomic_open\n"
        "where = Path(sys.argv[1])\n"
        "with atomic_open(where / 'a.csv') as file, atomic_folder(where / 'run') as folder:\n"
        "    (folder / 'b').write_text('half'); file.write('half'); file.flush()\n"
        "    print('ready', flush=True); sys.stdin.readline()\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    assert len(list(tmp_path.glob(f".*{PART}"))) == 2
    assert clear_leftovers(tmp_path) == []
    writer.kill()
    writer.communicate()
    assert len(list(tmp_path.glob(f".*{PART}"))) == 2
    write_text(tmp_path / "other.txt", "x")  # the first write to the folder by this process
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    with contextlib.suppress(RuntimeError), atomic_folder(tmp_path / "run") as folder:
        (folder / "a").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run").mkdir()
    with atomic_folder(tmp_path / "run") as folder:
        (folder / "a").write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    with pytest.raises(UserError, match="cannot write"), atomic_folder(tmp_path / "run"):
        pass
    assert (tmp_path / "run" / "a").read_text() == "x"


@pytest.mark.parametrize(
    ("code", "word"),
    [(errno.ENOSPC, "Make room"), (errno.EDQUOT, "quota"), (errno.EROFS, "read-only"), (errno.EIO, "")],
)
@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_disk_that_refuses_is_said(
    code: int, word: str, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "a.txt", "old")

    def refuse(*words: Any, **options: Any) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr("ntil.io.os." + call, refuse)
        with pytest.raises(UserError, match=rf"cannot write .*a\.txt: .*{word}"):
            write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_names_are_limited_in_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / ("時" * 85), "x")  # 255 bytes
    assert (tmp_path / ("時" * 85)).read_text() == "x"
    for name in ("時" * 86, "a" * 256):
        with pytest.raises(UserError, match="255 bytes"):
            write_text(tmp_path / name, "x")
        with pytest.raises(UserError):
            read_json(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"9" * 10_000, "thousands of digits"),
        (b'["\\ud800"]', "half of a surrogate pair"),
        (b'{"\\uDC00": 1}', "half of a surrogate pair"),
        (b"\x00", "not valid JSON"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    ],
)
def test_json_beyond_all_bounds_is_named(content: bytes, word: str, tmp_path: Path) -> None:
    for read in (read_json, lambda path: list(read_jsonl(path))):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(UserError, match=rf"a\.json.*{word}"):
            read(tmp_path / "a.json")


def test_a_byte_order_mark_and_whole_pairs_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": "\\ud83d\\udd50"}')
    assert read_json(tmp_path / "a.json") == {"a": "🕐"} == next(read_jsonl(tmp_path / "a.json"))


@pytest.mark.parametrize("path", ["a" * 300, "loop", "\ud800"])
def test_paths_that_cannot_be_followed_are_refused(path: str, tmp_path: Path) -> None:
    os.symlink("loop", tmp_path / "loop")
    with contextlib.suppress(UserError):  # some systems follow them to a file that is not there
        assert inside(tmp_path, path).is_relative_to(tmp_path)


@pytest.mark.parametrize("name", ["test-000123", "a.b_c=1", "時計", "x" * 120])
def test_plain_names_stay(name: str) -> None:
    assert file_name(name) == name


@given(text=st.text(), other=st.text())
def test_any_text_has_a_name_of_its_own(text: str, other: str) -> None:
    name = file_name(text)
    assert name not in ("", ".", "..")
    assert not set("/\\\0\n ") & set(name)
    assert not name.startswith(".")
    assert len(name.encode()) <= 134
    assert (file_name(other) == name) == (other == text)


def test_the_reader_of_a_pipe_may_leave_and_a_console_may_lack_letters() -> None:
    code = (
        "import sys; from ntil.errors import UserError, guard, run_command\n"
        "def act():\n"
        "    if sys.argv[1] == 'error': raise UserError('é 時 \\x1b[31m\\nline')\n"
        "    for _ in range(int(sys.argv[1])): print('x' * 99 + '→')\n"
        "    return 0\n"
        "run_command(lambda: guard(act))\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run([*command, "1"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "x" * 99 + "\\u2192\n", "")
    done = subprocess.run([*command, "error"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "error: \\xe9 \\u6642 \\u241b[31m\nline\n")
    left = subprocess.Popen(
        [*command, "100000"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert left.stdout is not None
    left.stdout.readline()
    left.stdout.close()
    assert left.stderr is not None
    assert left.stderr.read() == b""
    assert left.wait() == 141


NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.none() | st.text(max_size=3) | st.integers()
OBJECTS = st.dictionaries(
    st.text(alphabet="a~/01", max_size=3),
    st.recursive(
        NUMBERS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a~/01", max_size=3), inner),
    ),
)


@given(OBJECTS)
def test_what_is_not_finite_is_named_and_comes_back(value: dict[str, Any]) -> None:
    written = json.loads(json.dumps(finite(value), allow_nan=False))
    again = restored(written)
    again.pop("not_finite", None)
    assert repr(again) == repr(json.loads(json.dumps(value)))


@pytest.mark.parametrize("path", ["", "/", "a", "/b", "/a/0", "/a/b", "/c/9", "/c/x", "/d"])
@pytest.mark.parametrize("number", ["nan", "1e400", 3, None])
def test_not_finite_that_does_not_fit_is_refused(path: str, number: Any) -> None:
    value = {"a": 1.0, "c": [None], "d": 2, "not_finite": {path: number}}
    with pytest.raises(UserError, match="not_finite says"):
        restored(value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("mode", ["w", "wb"])
@pytest.mark.parametrize("length", [1, 30_000])
def test_a_full_disk_is_one_message_at_whatever_write(
    mode: str, length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What little text there is reaches the disk when the file is flushed, and once more when it is closed."""

    def full(path: Path) -> tuple[int, Path]:
        return os.open("/dev/full", os.O_RDWR), path.with_name("temporary")

    monkeypatch.setattr("ntil.io._temporary", full)
    with (
        pytest.raises(UserError, match=r"cannot write .*x\.txt: No space left"),
        atomic_open(tmp_path / "x.txt", mode) as file,
    ):
        file.write("x" * length if mode == "w" else b"x" * length)


def test_a_name_is_suggested_once() -> None:
    assert did_you_mean("los", ["loss", "seed", "loss"]) == " Did you mean 'loss'?"
