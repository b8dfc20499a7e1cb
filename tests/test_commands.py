"""train.py, evaluate.py and predict.py as their users meet them: files, exit codes, messages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fixtures
import numpy as np
import pytest
from fixtures import REPOSITORY, SMALL, in_folder, losses, run
from omegaconf import OmegaConf
from PIL import Image

from ntil.checksums import SUMS
from ntil.io import read_json, read_jsonl, sha256

workplace, finished, in_tmp_path = fixtures.workplace, fixtures.finished, fixtures.in_tmp_path

RUN_FILES = {
    *(
        "config.yaml",
        "overrides.yaml",
        "provenance.json",
        "train.jsonl",
        "model",
        "timing.json",
    ),
    *(
        "predictions.jsonl",
        "predictions_test.png",
        "predictions_heldout_faces.png",
        "metrics.json",
        "COMPLETE",
    ),
}


def train(folder: Path, *overrides: str) -> Any:
    first = [
        word for word in overrides if word == "-m"
    ]  # argparse takes no option between positional arguments
    return run("train", *first, *SMALL, *in_folder(folder), *(word for word in overrides if word != "-m"))


def refused(ran: Any, *words: str) -> None:
    """Exit 2 with exactly one error, which holds `words`, and no traceback."""
    assert ran.code == 2
    assert ran.err.count("error:") == 1
    assert "Traceback" not in ran.err
    message = ran.err[ran.err.index("error:") :]
    for word in words:
        assert word in message, message


def test_a_run_leaves_its_files(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == RUN_FILES
    config = OmegaConf.load(finished / "config.yaml")
    assert config.trainer.max_steps == 3
    assert config.loss._target_ == "ntil.losses.build_loss"
    assert "${" not in (finished / "config.yaml").read_text(), "config.yaml is not resolved"
    assert "trainer.max_steps=3" in OmegaConf.load(finished / "overrides.yaml")
    assert sorted(losses(finished)) == [1, 2, 3]
    metrics = read_json(finished / "metrics.json")
    assert {name: split["count"] for name, split in metrics["splits"].items()} == {
        "test": 6,
        "heldout_faces": 4,
    }
    assert metrics["task"] == "clock"
    assert metrics["parameters"] < 1_000_000
    assert set(metrics["splits"]["test"]["metrics"]) == set(metrics["metrics"])
    assert (finished / "COMPLETE").stat().st_mtime_ns >= (finished / "metrics.json").stat().st_mtime_ns
    files = {path.name for path in (finished / "model").iterdir()}
    assert {Path(name).suffix for name in files - {SUMS}} == {".json", ".safetensors"}
    assert SUMS in files


def test_a_complete_run_is_skipped(finished: Path, workplace: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    ran = train(workplace, "name=finished", "evaluation.pictures=true", "trainer.eval_steps=2")
    assert ran.code == 0
    assert "is complete" in ran.out
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_another_configuration_does_not_resume(finished: Path, workplace: Path) -> None:
    before = (finished / "config.yaml").read_bytes()
    ran = train(
        workplace, "name=finished", "evaluation.pictures=true", "trainer.eval_steps=2", "loss.weight=0.5"
    )
    refused(ran, "loss.weight: 0.3 → 0.5", "name=")
    assert (finished / "config.yaml").read_bytes() == before
    assert "trainer" not in ran.err[ran.err.index("error:") :], "only what changed is named"


def test_other_evaluation_settings_score_the_trained_model_anew(finished: Path, workplace: Path) -> None:
    folder = shutil.copytree(finished, finished.with_name("again"))
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("name: finished", "name: again"))
    same = ["name=again", "evaluation.pictures=true", "trainer.eval_steps=2"]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    kept = [path for path in before if path.name == "train.jsonl" or path.parent.name == "model"]
    refused(train(workplace, *same, "evaluation.splits=[tset]"), "tset", "Did you mean", "test")
    said = train(workplace, *same, "evaluation.splits=[test]").out  # as it was scored, in other words
    assert "is complete" in said
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    ran = train(workplace, *same, "evaluation.limit=2", "evaluation.optional_splits=[]")
    assert ran.code == 0, ran.err
    assert "evaluation.limit: None → 2" in ran.out
    metrics = read_json(folder / "metrics.json")
    assert {name: split["count"] for name, split in metrics["splits"].items()} == {"test": 2}
    assert not (folder / "predictions_heldout_faces.png").exists(), "of splits that are scored no more"
    assert (folder / "COMPLETE").exists()
    assert (folder / "earlier" / "1" / "metrics.json").read_bytes() == before[folder / "metrics.json"]
    assert all(path.read_bytes() == before[path] for path in kept), "nothing was trained"


def test_a_sweep_makes_a_run_of_each(workplace: Path) -> None:
    ran = train(workplace, "-m", "experiment_name=sweep", "loss=ce,emd", "seed=0,1", "trainer.max_steps=1")
    assert ran.code == 0, ran.err
    runs = sorted(path.parent for path in (workplace / "outputs" / "sweep").glob("*/COMPLETE"))
    assert len(runs) == 4
    kinds = {(c.choices.loss, c.seed) for c in (OmegaConf.load(path / "config.yaml") for path in runs)}
    assert kinds == {("ce", 0), ("ce", 1), ("emd", 0), ("emd", 1)}
    for path in runs:
        config = OmegaConf.load(path / "config.yaml")
        assert f"clock-tiny-{config.choices.loss}-seed{config.seed}" in path.name
    assert len({sha256(path / "model" / "model.safetensors") for path in runs}) == 4


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "train",
            [
                "python train.py task=clock model=tiny loss=ntil",
                "-m loss=ce,emd",
                "loss: ce,",
                "max_steps",
            ],
        ),
        ("evaluate", ["python evaluate.py run=", "splits="]),
        ("predict", ["python predict.py run=", "input="]),
    ],
)
def test_help_teaches(command: str, words: list[str]) -> None:
    ran = run(command, "--help")
    assert ran.code == 0
    for word in words:
        assert word in ran.out


@pytest.mark.parametrize(
    ("mistake", "nearest"),
    [
        ("trainer.max_stps=3", "'trainer.max_steps'"),
        ("modle=tiny", "'model'"),
        ("loss=ntli", "'ntil'"),
        ("task=clok", "'clock'"),
        ("experiment=clock_dmo", "'clock_demo'"),
        ("data=clock_esy", "'clock_easy'"),
        ("loss.number.sgma=0.5", "'loss.number.sigma'"),
        ("data.sise=64", "'data.size'"),
        ("+data.sise=64", "'size'"),
        ("+trainer.max_stps=3", "'max_steps'"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest(mistake: str, nearest: str, workplace: Path) -> None:
    refused(train(workplace, "experiment_name=typo", mistake), "Did you mean", nearest)


@pytest.mark.parametrize("mistake", ["trainer.max_stps=3", "modle=tiny", "loss=ce,ntli"])
def test_so_it_is_in_a_sweep(mistake: str, tmp_path: Path) -> None:
    refused(train(tmp_path, "-m", "seed=0,1", mistake), "Did you mean")
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_trained_is_refused_before_data_are_built(tmp_path: Path) -> None:
    refused(train(tmp_path, "+trainer.max_stps=3"), "max_steps")
    assert not (tmp_path / "data").exists()


def plain(text: str) -> str:
    return "run-" + "".join(c for c in text if c.isalnum())


@pytest.mark.parametrize(
    "mistake",
    [
        "trainer.max_steps=-1",
        "trainer.max_steps=abc",
        "trainer.schedule=nope",
        "trainer.precision=fp8",
        "trainer.batch_size=64",
        "seed=abc",
        "seed=-1",
        "loss.balance=half",
        "loss.number.sigma=-1",
        "+loss.number.sgma=1",
        "data.size=abc",
        "evaluation.batch_size=0",
        "evaluation.splits=[tset]",
        "model.text_config.model_type=lama",
        "trainer.max_steps",
        "trainer.max_steps={3",
    ],
)
def test_a_bad_value_is_one_message(mistake: str, workplace: Path) -> None:
    ran = train(workplace, "experiment_name=bad", f"name={plain(mistake)}", mistake)
    refused(ran)


def test_a_run_may_be_corrected_after_a_bad_value(workplace: Path) -> None:
    refused(train(workplace, "name=corrected", "trainer.batch_size=64"), "trainer.batch_size=64")
    assert train(workplace, "name=corrected", "trainer.max_steps=1").code == 0


@pytest.mark.parametrize("name", ["name=2024", "name=1e3", "name=true", "experiment_name=7"])
def test_a_name_may_look_like_something_else(name: str, workplace: Path) -> None:
    ran = train(workplace, name, "trainer.max_steps=1", "evaluation.limit=1")
    assert ran.code in (0, 2)


@pytest.mark.parametrize("where", ["model.local_folder=null", "model.local_folder=empty"])
def test_weights_out_of_reach_name_the_ways_out(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "empty").mkdir()
    ran = run("train", *in_folder(tmp_path), "model=qwen2vl", where)
    refused(ran, "Qwen/Qwen2-VL-2B-Instruct", "model.local_folder=", "model=tiny")


def test_evaluate_repeats_the_metrics_of_training(finished: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished, tmp_path / "copy")
    assert run("evaluate", f"run={copy}", f"output={tmp_path / 'again'}").code == 0
    again, before = read_json(tmp_path / "again" / "metrics.json"), read_json(finished / "metrics.json")
    assert again["splits"] == before["splits"]
    assert {**again, "timing": 0} == {**before, "timing": 0}
    rows = list(read_jsonl(finished / "predictions.jsonl"))
    assert list(read_jsonl(tmp_path / "again" / "predictions.jsonl")) == rows
    assert sha256(copy / "metrics.json") == sha256(finished / "metrics.json")


def test_evaluate_never_writes_over_the_run(finished: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished, tmp_path / "copy")
    assert run("evaluate", f"run={copy}", "splits=[val]", "limit=2").code == 0
    assert {path.name for path in copy.iterdir()} - RUN_FILES == {"evaluation-val-limit2"}
    metrics = read_json(copy / "evaluation-val-limit2" / "metrics.json")
    assert {name: split["count"] for name, split in metrics["splits"].items()} == {"val": 2}
    for name in ("metrics.json", "predictions.jsonl", "predictions_test.png"):
        assert sha256(copy / name) == sha256(finished / name)


def test_evaluate_refuses_a_split_that_is_not_there(finished: Path) -> None:
    refused(run("evaluate", f"run={finished}", "splits=[vall]", "output=elsewhere"), "vall")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize("folder", ["nowhere", "empty", "untrained"])
def test_what_is_no_trained_run_is_refused(command: str, folder: str, tmp_path: Path, finished: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "untrained").mkdir()
    shutil.copy(finished / "config.yaml", tmp_path / "untrained")
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(picture)
    extra = [f"input={picture}"] if command == "predict" else []
    refused(run(command, f"run={folder}", *extra), folder)


@pytest.mark.parametrize(
    ("command", "missing"), [("evaluate", "run"), ("predict", "run"), ("predict", "input")]
)
def test_a_missing_argument_is_named(command: str, missing: str, finished: Path) -> None:
    given = {"run": f"run={finished}"} | (
        {"input": f"input={finished / 'predictions_test.png'}"} if command == "predict" else {}
    )
    refused(run(command, *(word for name, word in given.items() if name != missing)), f"{missing}=")


def pictures(folder: Path) -> tuple[list[str], list[str]]:
    """Readable pictures of many kinds and files that only look like pictures: (good, bad) names."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 65535, (64, 64), dtype=np.uint16))
    good: dict[str, Image.Image] = {
        "colour.png": colour,
        "photo.JPG": colour,
        "palette.png": colour.convert("P"),
        "glass.png": colour.convert("RGBA"),
        "deep.png": deep,
        "print.jpg": colour.convert("CMYK"),
        "wide.png": colour.resize((120, 40)),
        "one.png": colour.resize((1, 1)),
        "odd[bold]name $_$ .png": colour,
    }
    for name, image in good.items():
        image.save(folder / name)
    (folder / "cut.png").write_bytes((folder / "colour.png").read_bytes()[:500])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("not a picture")
    (folder / "notes.txt").write_text("no picture and no such ending")
    return list(good), ["cut.png", "empty.jpg", "text.png"]


def test_predict_reads_a_folder_and_names_what_it_cannot_read(finished: Path, tmp_path: Path) -> None:
    good, bad = pictures(tmp_path / "photos")
    ran = run("predict", f"run={finished}", f"input={tmp_path / 'photos'}", "output=drawn/readings.png")
    assert ran.code == 1, "some files could not be read"
    table = ran.out.replace("\n", " ")
    for name in good:
        assert name.split()[0] in table
    skipped = [line for line in ran.out.splitlines() if line.startswith("skipped:")]
    assert len(skipped) == len(bad)
    assert all(any(name in line for line in skipped) for name in bad)
    assert "notes.txt" not in ran.out
    with Image.open(tmp_path / "drawn" / "readings.png") as drawn:
        assert drawn.width > drawn.height > 200


def test_predict_reads_one_picture_and_is_content(finished: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 50), "white").save(tmp_path / "a.png")
    ran = run("predict", f"run={finished}", "input=a.png")
    assert ran.code == 0, ran.err
    assert (tmp_path / "predictions.png").exists()


@pytest.mark.parametrize("what", ["nowhere.png", "empty", "text.png"])
def test_predict_refuses_an_input_without_a_picture(what: str, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("not a picture")
    refused(run("predict", f"run={finished}", f"input={what}"))
    assert not (tmp_path / "predictions.png").exists()


def test_evaluate_takes_another_data_set(finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(read_json(finished / "provenance.json")["data"]["folder"], other)
    ran = run("evaluate", f"run={finished}", f"data_folder={other}", "splits=[test]")
    assert ran.code == 0, ran.err
    (folder,) = (path for path in finished.iterdir() if path.name == "evaluation-test-other")
    metrics = read_json(folder / "metrics.json")
    assert (
        metrics["splits"]["test"]["metrics"]
        == read_json(finished / "metrics.json")["splits"]["test"]["metrics"]
    )
    shutil.rmtree(folder)
    refused(
        run("evaluate", f"run={finished}", f"data_folder={tmp_path / 'gone'}"), "holds no finished data set"
    )


def test_a_run_folder_may_have_any_name(finished: Path, tmp_path: Path) -> None:
    """Names of runs hold = and , which mean something to Hydra."""
    odd = tmp_path / "it's,loss.sigma=0.1"
    shutil.copytree(finished, odd)
    Image.new("RGB", (64, 64)).save(tmp_path / "a=b,c.png")
    ran = run("predict", f"run={odd}", f"input={tmp_path / 'a=b,c.png'}", f"output={tmp_path / 'out=1.png'}")
    assert ran.code == 0, ran.err
    assert (tmp_path / "out=1.png").exists()


def test_a_question_may_hold_any_signs(finished: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    for query in ("12+34=", "it's {x}, [y] = \\ $z", "null and void"):
        ran = run("predict", f"run={finished}", f"input={tmp_path / 'a.png'}", f"query={query}")
        assert ran.code == 0, ran.err
    refused(run("predict", f"run={finished}"), "nothing to answer")


@pytest.mark.parametrize(
    "command",
    [
        "train.py --help",
        "evaluate.py --help",
        "-m data_prep list",
        "-m data_prep clock --help",
        "-m ntil explain --help",
        "-m experiments.launch clock_table --list",
        "-m experiments.collect --help",
    ],
)
def test_a_reader_that_has_had_enough_ends_a_command_quietly(command: str) -> None:
    """`| head`: standard output is a pipe that nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, *command.split()],
            cwd=REPOSITORY,
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    finally:
        os.close(write)
    assert done.stderr == ""
    assert done.returncode in (0, 1, 141)
