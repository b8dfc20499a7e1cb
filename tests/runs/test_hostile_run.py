"""A run folder from someone else against predict, evaluate and export: nothing runs, nothing is written outside, one message."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixtures
import pytest
import yaml
from PIL import Image

from ntil.commands import main as ntil

EVIL = "import pathlib\npathlib.Path('RAN').touch()\nclass Evil: pass\n"
TARGETS = ("os.system", "subprocess.Popen", "builtins.eval", "hydra.utils.get_method", "evil.Task")


def config(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = yaml.safe_load((run / "config.yaml").read_text())
    change(content)
    (run / "config.yaml").write_text(yaml.safe_dump(content))


def in_json(name: str, **values: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        path = run / "model" / name
        path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | values))

    return change


def text(content: str) -> Callable[[Path], None]:
    return lambda run: (run / "config.yaml").write_text(content)  # type: ignore[return-value]


def task(**values: Any) -> Callable[[Path], None]:
    return lambda run: config(run, lambda c: c["task"].update(values))


def model(value: Any) -> Callable[[Path], None]:
    return lambda run: config(run, lambda c: c.update(model=value))


def pickled(run: Path) -> None:
    (run / "model" / "model.safetensors").unlink()
    (run / "model" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch RAN'\ntR.")


def linked(run: Path) -> None:
    shutil.move(run / "model", run.parent.parent / "elsewhere")
    (run / "model").symlink_to(run.parent.parent / "elsewhere")


TASKS = {  # of no concern to the export, which builds no task
    **{target: task(_target_=target, command="touch RAN") for target in TARGETS},
    "partial": task(_target_="os.system", _partial_=True),
    "nested": task(question={"_target_": "os.system", "command": "touch RAN"}),
    "endless": task(max_new_tokens=10**9),
}
ALL = {
    "bomb": text("a: &a [x]\nb: [*a, *a]\n"),
    "deep": text("[" * 50_000),
    "huge": text("a: " + "x" * 300_000),
    "null": text("a: \0\n"),
    "tag": text("a: !!python/object/apply:os.system ['touch RAN']\n"),
    "environment": text("model: {family: '${oc.env:HOME}'}\n"),
    "a list": model([1]),
    "a word": model("tiny"),
    "nothing": model({}),
    "no family": model({"family": 3}),
    "another family": model({"family": "../../x"}),
    "half a family": model({"family": "llava15", "name": "x"}),
    "auto_map": in_json("config.json", auto_map={"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}),
    "tokenizer": in_json("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]}),
    "kernel": in_json("config.json", _attn_implementation="someone/kernel"),
    "quantised": in_json("config.json", quantization_config={"quant_method": "gptq"}),
    "weights elsewhere": in_json("config.json", transformers_weights="../../x.safetensors"),
    "another model": in_json("config.json", model_type="llama"),
    "adapters": in_json("adapter_config.json", base_model_name_or_path="/x", peft_type="LORA"),
    "wide": in_json("config.json", text_config={"model_type": "llama", "hidden_size": 10**9}),
    "wide enough": in_json("config.json", text_config={"model_type": "llama", "intermediate_size": 10**8}),
    "many layers": in_json("config.json", text_config={"model_type": "llama", "num_hidden_layers": 10**9}),
    "labels": in_json("config.json", num_labels=10**8),
    "infinite": in_json("config.json", rope_theta=float("inf")),
    "negative": in_json("config.json", channels=[-1, 2]),
    "a wrong type": in_json("config.json", channels="x"),
    "a large picture": in_json("preprocessor_config.json", size=10**6),
    "pickled": pickled,
    "linked": linked,
}


@pytest.fixture
def hostile(finished: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "hostile"
    shutil.copytree(finished, folder)
    for name in ("evil.py", "model/evil.py", "model/custom_generate/generate.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(EVIL)
    return folder


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def refused(command: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = Path.cwd()
    Image.new("RGB", (64, 64)).save(work / "picture.png")
    before = snapshot(work)
    if command == "export":
        code, error = ntil(["export", str(run), "--out", str(work / "out")]), capsys.readouterr().err
    else:
        more = [f"input={work / 'picture.png'}"] if command == "predict" else []
        code, _, error = fixtures.run(command, f"run={run}", *more)
    assert code == 2
    assert error.count("error: ") == 1
    assert "Traceback" not in error
    assert snapshot(work) == before


@pytest.mark.parametrize("command", ["predict", "evaluate", "export"])
@pytest.mark.parametrize("name", ALL)
def test_nothing_runs(command: str, name: str, hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ALL[name](hostile)
    refused(command, hostile, capsys)


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("name", TASKS)
def test_no_task_runs(command: str, name: str, hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TASKS[name](hostile)
    refused(command, hostile, capsys)


def test_the_same_folder_unharmed_answers(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So the refusals above are for what was changed; code that merely lies in the folder is left alone."""
    Image.new("RGB", (64, 64)).save("picture.png")
    ran = fixtures.run("predict", f"run={hostile}", "input=picture.png")
    assert ran.code == 0, ran.err
    ran = fixtures.run("evaluate", f"run={hostile}", "limit=2")
    assert ran.code == 0, ran.err
    assert ntil(["export", str(hostile), "--out", "out"]) == 0
    assert capsys.readouterr().err == ""
    assert not list(Path.cwd().rglob("RAN"))
