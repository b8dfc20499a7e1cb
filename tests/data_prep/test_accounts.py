"""No two records are mixed, and every one is accounted for."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_prep.__main__ import main
from data_prep.accounts import Skipped, commonest, distinct, plain
from data_prep.writer import Made, Plan, write
from ntil.data.example import Example, read_manifest
from ntil.errors import UserError

HEADER = {"builder": "x", "version": 1, "config": {}}
Job = tuple[str, str | None, bytes]  # id, picture, its content


def make(job: Job) -> Made | Skipped:
    name, image, content = job
    return Made(Example(name, "train", {}, image), content)


def built(out: Path, jobs: list[Job], workers: int = 1) -> Path:
    return write(out, Plan(jobs, make, lambda example: example.id), HEADER, workers)


@pytest.fixture
def png() -> Callable[[int], bytes]:
    def content(colour: int) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4), (colour, 0, 0)).save(buffer, "PNG")
        return buffer.getvalue()

    return content


@pytest.mark.parametrize("second", ["images/a.png", "images/A.png", "images/A.PNG", "images/\u00e4.png"])
def test_one_path_with_two_pictures_stops_the_build(
    second: str, tmp_path: Path, png: Callable[[int], bytes]
) -> None:
    first = "images/a\u0308.png" if "\u00e4" in second else "images/a.png"
    jobs: list[Job] = [("one", first, png(1)), ("two", "images/b.png", png(2)), ("three", second, png(3))]
    with pytest.raises(UserError, match=r"records 'one' .* and 'three' .* different pictures to one file"):
        built(tmp_path / "out", jobs)
    assert not (tmp_path / "out").exists()


def test_pictures_in_chunks_of_several_workers_are_compared(
    tmp_path: Path, png: Callable[[int], bytes]
) -> None:
    jobs: list[Job] = [(str(n), f"images/{n}.png", png(n % 200)) for n in range(130)]
    jobs.append(("last", "images/0.png", png(7)))
    with pytest.raises(UserError, match=r"records '0' .* and 'last'"):
        built(tmp_path / "out", jobs, workers=2)


def test_one_path_with_the_same_picture_is_fine(tmp_path: Path, png: Callable[[int], bytes]) -> None:
    jobs: list[Job] = [("one", "images/a.png", png(1)), ("two", "images/a.png", png(1))]
    assert read_manifest(built(tmp_path / "out", jobs))["kept"] == 2


def test_one_id_for_two_records_stops_the_build(tmp_path: Path, png: Callable[[int], bytes]) -> None:
    jobs: list[Job] = [("one", "images/a.png", png(1)), ("one", "images/b.png", png(1))]
    with pytest.raises(UserError, match="two records would have the id 'one'"):
        built(tmp_path / "out", jobs)


@pytest.mark.parametrize("turned", [False, True])
def test_a_file_where_another_record_needs_a_folder(
    turned: bool, tmp_path: Path, png: Callable[[int], bytes]
) -> None:
    jobs: list[Job] = [("one", "images/a.png", png(1)), ("two", "images/a.png/b.png", png(2))]
    with pytest.raises(UserError, match=r"of which another record makes a folder or a file"):
        built(tmp_path / "out", jobs[::-1] if turned else jobs)


def test_text_that_utf8_does_not_know_is_one_skipped_record(
    tmp_path: Path, png: Callable[[int], bytes]
) -> None:
    jobs: list[Job] = [("one", "images/a.png", png(1)), ("\ud800", "images/b.png", png(2))]
    manifest = read_manifest(built(tmp_path / "out", jobs))
    assert manifest["kept"] == 1
    assert manifest["skipped"] == [
        {"what": "\\ud800", "why": "its text or its file's name cannot be written as UTF-8"}
    ]


def refuse(why: str, job: str) -> Made | Skipped:
    return Skipped("p.jpg", why) if job == "bad" else Made(Example(job, "train", {}))


def test_a_picture_of_several_records_is_named_once(tmp_path: Path) -> None:
    plan = Plan(["bad", "good", "bad"], partial(refuse, "unreadable"), lambda example: "")
    manifest = read_manifest(write(tmp_path / "out", plan, HEADER, 1))
    assert manifest["skipped"] == [{"what": "p.jpg", "why": "unreadable"}]


def test_the_commonest_reasons_come_first() -> None:
    skipped = [Skipped(f"{why}{n}", why * 3) for n, why in enumerate("abbcccdddd")]
    assert commonest(skipped) == (
        "10: 4 × ddd (such as d6); 3 × ccc (such as c3); 2 × bbb (such as b1); "
        "1 for other reasons, in manifest.json"
    )
    assert commonest([]) == "0"
    assert commonest([Skipped("a\nb\x1b[31m" + "x" * 500, "odd")]).isprintable()


def test_the_command_ends_with_what_was_kept_and_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["clock_easy", "--out", str(tmp_path / "out"), "--train", "3", "--val", "2", "--test", "2"]
    arguments += ["--heldout-faces", "2", "--size", "32", "--workers", "1"]
    for _ in range(2):  # built, and found there
        assert main(arguments) == 0
        last = capsys.readouterr().out.splitlines()[-1]
        assert last == "kept 9 (train 3, val 2, test 2, heldout_faces 2), skipped 0"


@given(st.lists(st.text("aAb-123\u00e4", max_size=4), max_size=12))
def test_distinct_names(names: list[str]) -> None:
    for same in (str, plain):
        found = distinct(names, same)
        assert len({same(name) for name in found}) == len(names)
        firsts = {}
        for before, after in zip(names, found, strict=True):
            assert after.startswith(before)
            if same(before) not in firsts:
                assert after == before, "who comes first keeps the name"
            firsts[same(before)] = True


def test_many_equal_names_take_no_time() -> None:
    assert distinct(["a"] * 20_000)[-1] == "a-20000"
