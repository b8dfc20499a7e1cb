"""What was written is what is used again: damaged checkpoints, a damaged model, changed data, a disk that is full."""

import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from fixtures import Ran, in_folder, run
from test_resume import STEPS, WEIGHTS, as_broken_off, same_end, same_log, uninterrupted

from ntil.checksums import seal
from ntil.errors import UserError
from ntil.io import read_json, write_json
from ntil.runs.sameness import check_same_data
from ntil.training.resume import WHOLE, last_whole_checkpoint

__all__ = ["uninterrupted"]


def again(workplace: Path, name: str, *words: str) -> Ran:
    return run("train", *STEPS, *in_folder(workplace), *words, f"name={name}")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))


FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


@pytest.mark.parametrize("harm", [cut, flip, Path.unlink], ids=["cut", "flipped", "missing"])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    file: str, harm: Callable[[Path], None], workplace: Path, uninterrupted: Path
) -> None:
    name = f"damaged-{file}-{getattr(harm, '__name__', '')}"
    folder = as_broken_off(uninterrupted, name, last=4)
    harm(folder / "checkpoints" / "checkpoint-4" / file)
    ran = again(workplace, name)
    assert ran.code == 0, ran.err
    assert "checkpoint-4 is damaged and passed over" in ran.out
    assert file in ran.out
    assert "resuming at step 2" in ran.err
    same_end(folder, uninterrupted)
    same_log(folder, uninterrupted)


def test_with_every_checkpoint_damaged_it_starts_over(workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "all-damaged", last=4)
    for checkpoint in (folder / "checkpoints").iterdir():
        (checkpoint / "optimizer.pt").unlink()
    ran = again(workplace, "all-damaged")
    assert ran.code == 0, ran.err
    assert ran.out.count("is damaged and passed over") == 2
    assert "resuming" not in ran.err
    same_end(folder, uninterrupted)
    same_log(folder, uninterrupted)


def test_a_checkpoint_of_an_earlier_version_has_no_sums_and_still_counts(
    workplace: Path, uninterrupted: Path
) -> None:
    folder = as_broken_off(uninterrupted, "earlier", last=4)
    (folder / "checkpoints" / "checkpoint-4" / WHOLE).write_text("")
    ran = again(workplace, "earlier")
    assert "resuming at step 4" in ran.err
    same_end(folder, uninterrupted)


@pytest.mark.parametrize("file", FILES)
def test_without_sums_a_missing_file_is_seen(file: str, workplace: Path, uninterrupted: Path) -> None:
    name = f"earlier-{file}"
    folder = as_broken_off(uninterrupted, name, last=4)
    (folder / "checkpoints" / "checkpoint-4" / WHOLE).write_text("")
    (folder / "checkpoints" / "checkpoint-4" / file).unlink()
    ran = again(workplace, name)
    assert "resuming at step 2" in ran.err
    same_end(folder, uninterrupted)


@pytest.mark.parametrize("file", FILES)
def test_without_sums_a_cut_file_is_seen(file: str, workplace: Path, uninterrupted: Path) -> None:
    name = f"earlier-cut-{file}"
    folder = as_broken_off(uninterrupted, name, last=4)
    (folder / "checkpoints" / "checkpoint-4" / WHOLE).write_text("")
    cut(folder / "checkpoints" / "checkpoint-4" / file)
    assert last_whole_checkpoint(folder / "checkpoints") == folder / "checkpoints" / "checkpoint-2"


def test_what_is_left_of_a_torn_checkpoint_is_no_part_of_the_next(
    workplace: Path, uninterrupted: Path
) -> None:
    folder = as_broken_off(uninterrupted, "leftovers", last=4)
    torn = folder / "checkpoints" / "checkpoint-4"
    flip(torn / "optimizer.pt")
    for place in (torn, folder / "checkpoints" / "checkpoint-6"):
        place.mkdir(exist_ok=True)
        (place / "model-00002-of-00009.safetensors").write_bytes(b"of another layout")
    assert again(workplace, "leftovers").code == 0
    assert not list(folder.rglob("model-00002*"))
    same_end(folder, uninterrupted)


def test_after_a_damaged_checkpoint_no_second_counts_twice(workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "seconds", last=4)
    write_json(folder / "timing.json", {"train_seconds": 5000.0, "steps": 4})
    checkpoint = folder / "checkpoints" / "checkpoint-2"
    write_json(checkpoint / "timing.json", {"train_seconds": 1000.0, "steps": 2})
    seal(checkpoint, WHOLE)
    (folder / "checkpoints" / "checkpoint-4" / "scheduler.pt").unlink()
    assert again(workplace, "seconds").code == 0
    assert 1000 < read_json(folder / "timing.json")["train_seconds"] < 1100


@pytest.mark.parametrize("last", [0, 4, 6])
def test_provenance_says_which_step_each_attempt_went_on_from(
    last: int, workplace: Path, uninterrupted: Path
) -> None:
    folder = as_broken_off(uninterrupted, f"from-step-{last}", last)
    assert again(workplace, f"from-step-{last}").code == 0
    assert [attempt["from_step"] for attempt in read_json(folder / "provenance.json")["attempts"]] == (
        [0, last] if last else [0]
    )


def test_with_changed_data_earlier_results_stay_where_they_are(workplace: Path, uninterrupted: Path) -> None:
    folder = uninterrupted.with_name("scored-on-others")
    shutil.copytree(uninterrupted, folder)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("name: uninterrupted", f"name: {folder.name}"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    other = changed_data(workplace, folder, "manifest")
    places = [f"paths.outputs={workplace / 'outputs'}", f"paths.data={other.parent}", f"name={folder.name}"]
    ran = run("train", *STEPS, *places, "evaluation.limit=1")
    assert ran.code == 2
    assert "has changed" in ran.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_interrupted_removal_of_checkpoints_is_finished(workplace: Path, uninterrupted: Path) -> None:
    folder = uninterrupted.with_name("half-tidy")
    shutil.copytree(uninterrupted, folder)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("name: uninterrupted", f"name: {folder.name}"))
    assert "is complete" in again(workplace, folder.name).out
    assert (folder / "checkpoints").exists()
    assert "is complete" in again(workplace, folder.name, "trainer.keep_when_complete=false").out
    assert not (folder / "checkpoints").exists()


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_model_is_made_again(
    file: str, complete: bool, workplace: Path, uninterrupted: Path
) -> None:
    name = f"model-{file}-{complete}"
    folder = as_broken_off(uninterrupted, name, last=6)
    shutil.copytree(uninterrupted / "model", folder / "model")
    shutil.copy(uninterrupted / "timing.json", folder)
    if complete:
        for done in ("metrics.json", "predictions.jsonl", "COMPLETE"):
            shutil.copy(uninterrupted / done, folder)
    (flip if file.endswith("s") else Path.unlink)(folder / "model" / file)
    ran = run("evaluate", f"run={folder}", "limit=1")
    assert ran.code == 2
    assert "model is damaged" in ran.err
    ran = again(workplace, name)
    assert ran.code == 0, ran.err
    assert "It is made again from" in ran.out
    same_end(folder, uninterrupted)
    assert (folder / "COMPLETE").exists()
    assert run("evaluate", f"run={folder}", "limit=1").code == 0


def test_a_damaged_model_without_checkpoints_is_refused(workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "no-way-back", last=0)
    shutil.copytree(uninterrupted / "model", folder / "model")
    flip(folder / WEIGHTS)
    ran = again(workplace, "no-way-back")
    assert ran.code == 2
    assert "There is no checkpoint to make it from again" in ran.err
    assert (folder / WEIGHTS).exists()


@pytest.mark.parametrize("left", ["checkpoints", "model", "COMPLETE"])
def test_without_its_configuration_nothing_goes_on(left: str, workplace: Path, uninterrupted: Path) -> None:
    folder = uninterrupted.with_name(f"nameless-{left}")
    folder.mkdir()
    copy = shutil.copytree if (uninterrupted / left).is_dir() else shutil.copy
    copy(uninterrupted / left, folder / left)
    ran = again(workplace, folder.name, "trainer.learning_rate=1e-5")
    assert ran.code == 2
    assert "no config.yaml" in ran.err
    assert not (folder / "config.yaml").exists()


def test_checkpoints_of_a_complete_run_go(workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "tidy", last=4)
    ran = again(workplace, "tidy", "trainer.keep_when_complete=false")  # free to change
    assert ran.code == 0, ran.err
    assert not (folder / "checkpoints").exists()
    same_end(folder, uninterrupted)
    assert "is complete" in again(workplace, "tidy", "trainer.keep_when_complete=false").out


def test_the_settings_of_an_earlier_version_are_the_same(workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "older", last=4)
    text = (folder / "config.yaml").read_text()
    lines = [line for line in text.splitlines() if "on_divergence" not in line and "keep_when" not in line]
    assert len(lines) == len(text.splitlines()) - 2
    (folder / "config.yaml").write_text("\n".join(lines))
    ran = again(workplace, "older", "trainer.on_divergence=skip")
    assert ran.code == 2
    assert "trainer.on_divergence: None → 'skip'" in ran.err
    ran = again(workplace, "older")
    assert ran.code == 0, ran.err


def test_a_resume_says_what_is_another_now(workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "elsewhere", last=4)
    said = read_json(folder / "provenance.json")
    first = said["attempts"][0]
    for attempt in (said, first):
        attempt["threads"], attempt["packages"]["torch"], attempt["commit"] = 7, "2.0", "0" * 40
    write_json(folder / "provenance.json", said)
    ran = again(workplace, "elsewhere")
    assert ran.code == 0, ran.err
    assert "  threads: 7 → 1" in ran.out
    assert f"  torch: 2.0 → {version('torch')}" in ran.out
    assert "digits may differ" in ran.out
    now = read_json(folder / "provenance.json")
    assert [attempt["threads"] for attempt in now["attempts"]] == [7, 1]
    assert now["attempts"][0] == first
    assert now["threads"] == 1
    assert len(now["starts"]) == 2
    assert "digits may differ" not in again(workplace, "elsewhere").out


def test_attempts_that_an_earlier_version_told_of_are_kept(workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "old-provenance", last=4)
    said = read_json(folder / "provenance.json")
    del said["attempts"]
    said["starts"] = ["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"]
    write_json(folder / "provenance.json", said)
    assert again(workplace, "old-provenance").code == 0
    now = read_json(folder / "provenance.json")
    assert now["starts"][:2] == said["starts"]
    assert [attempt["start"] for attempt in now["attempts"]] == now["starts"]
    assert "threads" not in now["attempts"][0]
    assert now["attempts"][1]["threads"] == said["threads"]


def changed_data(workplace: Path, folder: Path, to: str) -> Path:
    """A copy of the run's data set in which one clock says another time; `to`: whether its manifest knows."""
    data = Path(read_json(folder / "provenance.json")["data"]["folder"])
    other = workplace / f"data-{to}" / data.name
    shutil.copytree(data, other, dirs_exist_ok=True)
    records = other / "records.jsonl"
    text = records.read_text()
    assert '"minute": ' in text
    records.write_text(text.replace('"minute": 1', '"minute": 2', 1))
    if to == "manifest":
        from ntil.io import sha256

        manifest = read_json(other / "manifest.json")
        write_json(other / "manifest.json", manifest | {"records_sha256": sha256(records)})
    return other


@pytest.mark.parametrize("key", ["records_sha256", "pictures_sha256"])
def test_a_run_is_of_one_data_set(key: str, tmp_path: Path) -> None:
    made = {"records_sha256": "a" * 64, "pictures_sha256": "b" * 64}
    check_same_data(tmp_path, made, {"folder": "d", **made})
    check_same_data(tmp_path, {}, {"folder": "d", **made})  # nobody knows
    with pytest.raises(UserError, match=f"{made[key]}.*{'c' * 64}"):
        check_same_data(tmp_path, made, {"folder": "d", **made, key: "c" * 64})


@pytest.mark.parametrize("to", ["manifest", "records"])
def test_changed_records_are_refused_on_resume_and_in_evaluation(
    to: str, workplace: Path, uninterrupted: Path
) -> None:
    name = f"other-data-{to}"
    folder = as_broken_off(uninterrupted, name, last=6)
    before = read_json(folder / "provenance.json")
    other = changed_data(workplace, folder, to)
    ran = run(
        "train",
        *STEPS,
        f"paths.outputs={workplace / 'outputs'}",
        f"paths.data={other.parent}",
        f"name={name}",
    )
    assert ran.code == 2
    assert before["data"]["records_sha256"] in ran.err
    assert ran.err.count("error:") == 1
    assert read_json(folder / "provenance.json") == before
    shutil.copytree(uninterrupted / "model", folder / "model")
    write_json(folder / "provenance.json", before | {"data": before["data"] | {"folder": str(other)}})
    ran = run("evaluate", f"run={folder}")
    assert ran.code == 2
    assert before["data"]["records_sha256"] in ran.err
    ran = run("evaluate", f"run={folder}", f"data_folder={other}")
    assert ran.code == (2 if to == "records" else 0), ran.err  # a set of its own, if it is what it says
