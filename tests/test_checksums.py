"""Sums of a folder's files: what was written is told from what is there."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ntil.checksums import SUMS, damage, seal


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "deeper" / "ü b.txt").write_text("text")
    (tmp_path / "empty").write_bytes(b"")
    seal(tmp_path)
    return tmp_path


def test_what_was_sealed_is_whole(sealed: Path) -> None:
    assert damage(sealed) == ""
    done = subprocess.run(["sha256sum", "-c", SUMS], cwd=sealed, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": OK") == 3


def test_sealed_again_it_does_not_sum_its_own_sums(sealed: Path) -> None:
    before = (sealed / SUMS).read_text()
    seal(sealed)
    assert (sealed / SUMS).read_text() == before


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "a.bin").unlink(), "a.bin is missing"),
        (lambda folder: (folder / "empty").unlink(), "empty is missing"),
        (lambda folder: (folder / "a.bin").write_bytes(b""), "a.bin has another content"),
        (lambda folder: (folder / "empty").write_bytes(b"x"), "empty has another content"),
        (lambda folder: (folder / "deeper" / "ü b.txt").write_text("tuxt"), "ü b.txt has another content"),
        (lambda folder: (folder / SUMS).write_text(f"{'0' * 64}  ../a\n"), "names a file outside"),
        (lambda folder: (folder / SUMS).write_text(f"{'0' * 64}  /etc/passwd\n"), "names a file outside"),
        (lambda folder: (folder / SUMS).write_bytes(b"\xff\xfe"), "cannot be checked"),
        (lambda folder: (folder / SUMS).write_text("nonsense"), "is missing|another content|cannot"),
        (lambda folder: (folder / SUMS).write_text(f"{'0' * 64}  a\0b\n"), "missing|cannot"),
    ],
)
def test_damage_is_named(harm: Callable[[Path], None], said: str, sealed: Path) -> None:
    harm(sealed)
    reason = damage(sealed)
    assert any(part in reason for part in said.split("|")), reason


def test_a_folder_without_sums_is_taken_as_it_is(tmp_path: Path) -> None:
    assert damage(tmp_path) == ""
    (tmp_path / SUMS).write_text("")
    assert damage(tmp_path) == ""
    assert damage(tmp_path / "nowhere") == ""
