"""A run folder from someone else against predict, evaluate and export: nothing runs, nothing is written outside, one message."""

import json
import shutil
from pathlib import Path
from typing import Any

import fixtures
import jinja2
import pytest
from hostile_runs import CONFIGS, EVIL, MODELS, RAN, TASKS, Change, in_json, node, within
from PIL import Image
from transformers import PreTrainedTokenizerBase

from ntil.commands import main as ntil
from ntil.io import read_json, read_jsonl, sha256, write_json, write_jsonl

ALL = {**CONFIGS, **MODELS}
EVALUATIONS: dict[str, tuple[Change, str]] = {
    "a list": (node("evaluation", [1]), "no settings of an evaluation"),
    "a word": (node("evaluation", "all"), "no settings of an evaluation"),
    "none": (node("evaluation", None), "no settings of an evaluation"),
    "empty": (node("evaluation", {}), "evaluation lacks"),
    "unknown": (within("evaluation", pictur=True), "no setting 'pictur'"),
    "a call": (within("evaluation", _target_="os.system"), "no setting '_target_'"),
    "many at once": (within("evaluation", batch_size=10**9), "evaluation.batch_size is 1,000,000,000"),
    "infinitely many": (within("evaluation", batch_size=float("inf")), "evaluation.batch_size"),
    "half a batch": (within("evaluation", batch_size=0.5), "evaluation.batch_size"),
    "a batch of digits": (within("evaluation", batch_size="9"), "evaluation.batch_size"),
    "no batch": (within("evaluation", batch_size=0), "evaluation.batch_size"),
    "negative": (within("evaluation", limit=-1), "evaluation.limit"),
    "true": (within("evaluation", limit=True), "evaluation.limit"),
    "a word of splits": (within("evaluation", splits="test"), "evaluation.splits must be a list"),
    "splits of lists": (within("evaluation", splits=[["test"]]), "evaluation.splits[0] must be a word"),
    "splits of numbers": (within("evaluation", splits=[1]), "evaluation.splits[0] must be a word"),
    "splits elsewhere": (within("evaluation", splits=["../../x"]), "no split '../../x'"),
    "a mapping of splits": (within("evaluation", optional_splits={"a": 1}), "evaluation.optional_splits"),
    "a date": (within("evaluation", reading=__import__("datetime").date(2020, 1, 1)), "evaluation"),
    "another reading": (within("evaluation", reading="eval"), "evaluation.reading"),
    "pictures of words": (within("evaluation", pictures="yes"), "evaluation.pictures"),
}
DATA: dict[str, tuple[Any, str]] = {  # what is left to say where the set is gone
    "a list": ([1], "holds no finished data set"),
    "no builder": ({}, "no data builder None"),
    "a builder of lists": ({"builder": ["clock"]}, "describe one"),
    "another builder": ({"builder": "os.system"}, "no data builder 'os.system'"),
    "a call": ({"builder": "clock", "_target_": "os.system"}, "data has no setting '_target_'"),
    "a long name": (
        {
            "builder": "voc",
            "name": "x" * 5000,
            "raw": "x",
            "home": "x",
            "splits_from": {"train": "train"},
            "mode": "single",
            "only": [],
            "names": {},
        },
        "cannot be read",
    ),
    "infinite": ({"builder": "sums", "name": "x", "seed": float("inf")}, "data"),
    "elsewhere": (
        {
            "builder": "voc",
            "name": "../../elsewhere/x",
            "raw": "x",
            "home": "x",
            "splits_from": {"train": "train"},
            "mode": "single",
            "only": [],
            "names": {},
        },
        "leaves its folder",
    ),
}


@pytest.fixture
def hostile(finished: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "hostile"
    shutil.copytree(finished, folder)
    (folder / "model" / "SHA256SUMS").unlink()  # else what was changed would be damage
    for name in ("evil.py", "model/evil.py", "model/custom_generate/generate.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(EVIL)
    return folder


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def refused(command: str, run: Path, word: str, capsys: pytest.CaptureFixture[str], *typed: str) -> None:
    work = Path.cwd()
    Image.new("RGB", (64, 64)).save(work / "picture.png")
    before = snapshot(work)
    if command == "export":
        code, error = ntil(["export", str(run), "--out", str(work / "out")]), capsys.readouterr().err
    else:
        more = [f"input={work / 'picture.png'}"] if command == "predict" else []
        code, _, error = fixtures.run(command, f"run={run}", *more, *typed)
    assert code == 2
    assert error.count("error: ") == 1
    assert word in error
    assert "Traceback" not in error
    assert snapshot(work) == before


@pytest.mark.parametrize("command", ["predict", "evaluate", "export"])
@pytest.mark.parametrize("name", ALL)
def test_nothing_runs(command: str, name: str, hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, word = ALL[name]
    change(hostile)
    refused(command, hostile, word, capsys)


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("name", TASKS)
def test_no_task_runs(command: str, name: str, hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, word = TASKS[name]
    change(hostile)
    refused(command, hostile, word, capsys)


@pytest.mark.parametrize("name", EVALUATIONS)
def test_settings_of_an_evaluation_are_checked(
    name: str, hostile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, word = EVALUATIONS[name]
    change(hostile)
    refused("evaluate", hostile, word, capsys)


def test_what_is_typed_counts(hostile: Path) -> None:
    within("evaluation", batch_size=10**9)(hostile)
    ran = fixtures.run("evaluate", f"run={hostile}", "batch_size=5000", "limit=1")
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("name", DATA)
def test_data_are_not_built_on_a_runs_word(
    name: str, hostile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value, word = DATA[name]
    node("data", value)(hostile)
    made = read_json(hostile / "provenance.json")
    made["data"]["folder"] = str(tmp_path / "gone")
    write_json(hostile / "provenance.json", made)
    refused("evaluate", hostile, word, capsys, f"paths.data={tmp_path / 'data'}")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (None, "names no data set"),
        ([1], "names no data set"),
        ({"folder": 3}, "names no data set"),
        ({"folder": "/proc/self"}, "/proc/self"),
        ({"folder": "a\0b"}, "data set"),
        ({"folder": "x" * 5000}, "File name too long"),
        ({"folder": "../../.."}, "data set"),
    ],
)
def test_a_strange_place_of_the_data_is_one_message(
    data: Any, word: str, hostile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json(hostile / "provenance.json", {"data": data})
    refused("evaluate", hostile, word, capsys, f"paths.data={tmp_path / 'data'}")


@pytest.mark.parametrize("odd", ["../../../escaped", "/escaped", "..", "a\nb", "\x1b[31m", "x" * 300])
def test_ids_and_splits_are_no_paths(odd: str, hostile: Path, small_data: Path, tmp_path: Path) -> None:
    """A set that is what its manifest says, with odd ids and the name of a split: all is written in the folder asked for."""
    data = tmp_path / "data" / "copy"
    shutil.copytree(small_data, data)
    rows = list(read_jsonl(data / "records.jsonl"))
    for number, row in enumerate(row for row in rows if row["split"] == "test"):
        row.update(id=f"{odd}{number}", split=odd)
    write_jsonl(data / "records.jsonl", rows)
    manifest = read_json(data / "manifest.json")
    manifest["counts"][odd] = manifest["counts"].pop("test")
    manifest["records_sha256"] = sha256(data / "records.jsonl")
    write_json(data / "manifest.json", manifest)
    within("evaluation", splits=[odd], optional_splits=[], pictures=True)(hostile)
    before = snapshot(tmp_path)
    out = tmp_path / "here" / "out"
    ran = fixtures.run("evaluate", f"run={hostile}", f"data_folder={data}", f"output={out}")
    assert ran.code == 0, ran.err
    written = {path for path in set(snapshot(tmp_path)) - set(before)}
    assert {Path(path).parent for path in written} == {out}
    assert len(written) == 3, written
    assert {row["split"] for row in read_jsonl(out / "predictions.jsonl")} == {odd}


TEMPLATE = "{{ cycler.__init__.__globals__.os.system('touch RAN') }}{% for i in range(10**9) %}{% endfor %}"


def in_config(run: Path) -> None:
    in_json("tokenizer_config.json", chat_template=TEMPLATE)(run)


def beside(run: Path) -> None:
    (run / "model" / "chat_template.jinja").write_text(TEMPLATE)


def further(run: Path) -> None:
    (run / "model" / "additional_chat_templates").mkdir()
    (run / "model" / "additional_chat_templates" / "rag.jinja").write_text(TEMPLATE)


@pytest.mark.parametrize("change", [in_config, beside, further])
def test_no_chat_template_is_rendered(
    change: Change, hostile: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rendered(*words: Any, **options: Any) -> None:
        raise AssertionError("a template was rendered")

    monkeypatch.setattr(jinja2.Environment, "from_string", rendered)
    monkeypatch.setattr(PreTrainedTokenizerBase, "apply_chat_template", rendered)
    change(hostile)
    Image.new("RGB", (64, 64)).save("picture.png")
    for command, *words in (("predict", "input=picture.png"), ("evaluate", "limit=2")):
        ran = fixtures.run(command, f"run={hostile}", *words)
        assert ran.code == 0, ran.err
    assert ntil(["export", str(hostile), "--out", "out"]) == 0
    assert not list(Path.cwd().rglob(RAN))


@pytest.mark.parametrize("name", ["tokenizer_config.json", "processor_config.json", "chat_template.json"])
@pytest.mark.parametrize("value", [{"../../../x": "x"}, [{"name": "../../../x", "template": "x"}], 3])
def test_a_chat_template_is_one_text(
    name: str, value: Any, hostile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names of several would become names of files in the export."""
    (hostile / "model" / name).touch()
    (hostile / "model" / name).write_text(json.dumps({"chat_template": value}))
    refused("export", hostile, f"{name}: chat_template", capsys)


@pytest.mark.parametrize("word", ["yes", "1", "[true]", "null"])
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_trust_is_true_or_false(
    command: str, word: str, hostile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(command, hostile, "must be true or false", capsys, f"trust_remote_code={word}")


def test_the_same_folder_unharmed_answers(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So the refusals above are for what was changed; code that merely lies in the folder is left alone."""
    Image.new("RGB", (64, 64)).save("picture.png")
    ran = fixtures.run("predict", f"run={hostile}", "input=picture.png")
    assert ran.code == 0, ran.err
    ran = fixtures.run("evaluate", f"run={hostile}", "limit=2")
    assert ran.code == 0, ran.err
    assert ntil(["export", str(hostile), "--out", "out"]) == 0
    assert capsys.readouterr().err == ""
    assert not list(Path.cwd().rglob(RAN))
