import hashlib
import json
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

import data_prep
from data_prep import writer
from data_prep.contact_sheet import contact_sheet
from data_prep.writer import Made, Plan, Skipped, write
from ntil.data.example import Example, read_examples, read_manifest
from ntil.errors import UserError
from ntil.io import sha256

HEADER = {"builder": "numbers", "version": 1, "config": {"name": "numbers"}}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make(breaks_at: int | None, job: tuple[str, int]) -> Made | Skipped:
    """Text-only records; odd jobs are refused."""
    split, number = job
    if number == breaks_at:
        raise RuntimeError("the power went off")
    if number % 2:
        return Skipped(f"{split} {number}", "odd")
    return Made(Example(id=f"{split}-{number}", split=split, target={"value": number}))


def numbers(breaks_at: int | None = None, count: int = 10) -> Plan:
    jobs = [("train", number) for number in range(count)]
    return Plan(
        jobs, partial(make, breaks_at), lambda example: example.id, skipped=[Skipped("before", "known early")]
    )


def test_one_and_two_workers_write_the_same_bytes(easy, tmp_path):
    easy["splits"] = {"train": 100, "heldout_faces": 30}  # three chunks of work
    one = data_prep.ensure(easy, tmp_path / "one", workers=1)
    two = data_prep.ensure(easy, tmp_path / "two", workers=2)
    assert one.name == two.name
    assert tree(one) == tree(two)
    assert len(list((one / "images/train").iterdir())) == 100


def test_the_folder_holds_what_its_manifest_says(easy, tmp_path):
    root = data_prep.ensure(easy, tmp_path, workers=1)
    manifest = read_manifest(root)
    assert manifest["builder"] == "clock"
    assert manifest["counts"] == easy["splits"]
    assert manifest["skipped"] == []
    assert manifest["records_sha256"] == sha256(root / "records.jsonl")
    lines = ""
    for split, count in easy["splits"].items():
        examples = read_examples(root, split)
        assert len(examples) == count
        for example in examples:
            with Image.open(root / example.image) as picture:
                assert (picture.size, picture.mode, picture.info) == ((32, 32), "RGB", {})  # no time stamp
            lines += f"{example.image} {sha256(root / example.image)}\n"
            assert 1 <= example.target["hour"] <= 12
            assert 0 <= example.target["minute"] <= 59
    assert manifest["pictures_sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    with Image.open(root / "contact_sheet.png") as sheet:
        assert sheet.width > 1000


def test_ensure_builds_once_and_a_changed_config_elsewhere(easy, tmp_path, monkeypatch):
    root = data_prep.ensure(easy, tmp_path, workers=1)
    monkeypatch.setattr(writer, "_fill", lambda *_, **__: pytest.fail("built again"))
    assert data_prep.ensure(easy, tmp_path) == root
    same_meaning = {**easy, "splits": dict(reversed(easy["splits"].items()))}
    assert data_prep.ensure(same_meaning, tmp_path) == root
    monkeypatch.undo()
    assert data_prep.ensure({**easy, "seed": 1}, tmp_path, workers=1) != root


def test_ensure_names_unknown_builders_and_keys(easy, tmp_path):
    with pytest.raises(UserError, match=r"no data builder 'clok'. Did you mean 'clock'"):
        data_prep.ensure({**easy, "builder": "clok"}, tmp_path)
    with pytest.raises(UserError, match=r"data has no setting 'sise'. Did you mean 'size'"):
        data_prep.ensure({**easy, "sise": 3}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_runs_wait_for_each_other_and_build_once(easy, tmp_path, monkeypatch):
    built = []
    fill = writer._fill
    monkeypatch.setattr(writer, "_fill", lambda *a, **k: (built.append(1), fill(*a, **k)))
    asked = data_prep.registry.request(easy)
    lock = FileLock(tmp_path / f".{asked.folder_name}.lock")
    lock.acquire()
    runs = [threading.Thread(target=data_prep.ensure, args=(easy, tmp_path, 1)) for _ in range(2)]
    for run in runs:
        run.start()
    time.sleep(0.3)
    assert not built  # both wait
    lock.release()
    for run in runs:
        run.join(timeout=60)
    assert built == [1]
    assert (tmp_path / asked.folder_name / "manifest.json").exists()


def test_an_interrupted_build_leaves_nothing_that_looks_finished(tmp_path):
    out = tmp_path / "numbers"
    with pytest.raises(RuntimeError, match="power"):
        write(out, numbers(breaks_at=8), HEADER, workers=1)
    assert not out.exists()
    stale = tmp_path / ".numbers.partial" / "images" / "stale.png"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"left behind")
    write(out, numbers(), HEADER, workers=1)
    write(tmp_path / "clean", numbers(), HEADER, workers=1)
    assert tree(out) == tree(tmp_path / "clean")
    assert not (tmp_path / ".numbers.partial").exists()


def test_skipped_records_are_all_named(tmp_path):
    manifest = read_manifest(write(tmp_path / "numbers", numbers(), HEADER, workers=1))
    assert (manifest["counts"], manifest["kept"]) == ({"train": 5}, 5)
    assert manifest["skipped"][0] == {"what": "before", "why": "known early"}
    assert manifest["skipped"][1:] == [{"what": f"train {odd}", "why": "odd"} for odd in (1, 3, 5, 7, 9)]


def test_nothing_usable_is_an_error(tmp_path):
    plan = Plan([("train", 1)], partial(make, None), lambda example: example.id)
    with pytest.raises(UserError, match=r"no usable record among 1: 1 × odd \(such as train 1\)"):
        write(tmp_path / "numbers", plan, HEADER, workers=1)
    assert not (tmp_path / "numbers").exists()


def test_another_config_or_foreign_files_are_refused(tmp_path):
    out = write(tmp_path / "numbers", numbers(), HEADER, workers=1)
    before = tree(out)
    with pytest.raises(UserError, match=r"built differently: config\.name was 'numbers' and is now 'digits'"):
        write(out, numbers(), {**HEADER, "config": {"name": "digits"}}, workers=1)
    assert tree(out) == before
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("precious")
    with pytest.raises(UserError, match="not a finished data set"):
        write(tmp_path / "thesis", numbers(), HEADER, workers=1)
    assert tree(tmp_path / "thesis") == {"chapter1.tex": b"precious"}
    with pytest.raises(UserError, match="workers = 0"):
        write(tmp_path / "fresh", numbers(), HEADER, workers=0)


def same_picture(job: tuple[str, int]) -> Made:
    split, number = job
    path = f"images/{split}/{number}.png"
    return Made(Example(f"{split}-{number}", split, {"value": 0}, path), PNG)


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8ffff3f0005fe02fedccc59e70000000049454e44ae426082"
)


@pytest.mark.parametrize("unique", [True, False])
def test_the_same_picture_never_sits_in_two_splits(tmp_path, unique):
    jobs = [("train", 0), ("train", 1), ("test", 0)]
    plan = Plan(jobs, same_picture, lambda example: example.id, unique_across_splits=unique)
    out = write(tmp_path / "same", plan, HEADER, workers=1)
    manifest = read_manifest(out)
    if unique:
        assert manifest["counts"] == {"train": 2}
        assert manifest["skipped"] == [
            {"what": "test-0", "why": "the same picture as train-0, of another split"}
        ]
        assert not (out / "images/test/0.png").exists()
    else:
        assert manifest["counts"] == {"train": 2, "test": 1}


def test_contact_sheet_takes_any_caption(easy, tmp_path):
    root = data_prep.ensure(easy, tmp_path / "set", workers=1)
    asked = []
    contact_sheet(root, lambda example: (asked.append(example.id), example.id * 9)[1], tmp_path / "sheet.png")
    assert len(asked) == 16
    assert {name.rsplit("-", 1)[0] for name in asked} == set(easy["splits"])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.getcolors(1_000_000) is not None


def test_manifest_is_plain_json_without_clock_times(easy, tmp_path):
    manifest = json.loads((data_prep.ensure(easy, tmp_path, workers=1) / "manifest.json").read_text())
    account = {"counts", "kept", "skipped"}
    assert set(manifest) == {"builder", "version", "config", *account, "records_sha256", "pictures_sha256"}
