"""A stored run is read without trusting it: nothing it names is run, and nothing it holds grows without end."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ntil.checkout import CONF
from ntil.data.task import Task
from ntil.errors import UserError
from ntil.io import write_json
from ntil.runs.cli import register_resolvers
from ntil.runs.stored import (
    LARGEST,
    ROOT,
    build_stored_task,
    read_stored_config,
    read_stored_yaml,
    stored_data,
)
from tasks.clock import ClockTask

CLOCK = {"_target_": "tasks.clock.ClockTask", "question": "Time?", "max_new_tokens": 8}
TARGETS = [
    *(
        "os.system",
        "builtins.exec",
        "builtins.eval",
        "subprocess.run",
        "subprocess.Popen",
        "pickle.loads",
        "shutil.rmtree",
    ),
    *("hydra.utils.get_method", "hydra.utils.call", "hydra.utils.instantiate", "hydra.utils.get_object"),
    *(
        "importlib.import_module",
        "torch.load",
        "torch.hub.load",
        "tasks.clock.cos",
        "tasks.clock.re.compile",
        "tasks.clock",
    ),
    *(
        "tasks.clock.Task",
        "ntil.data.task.Task",
        "tasks.clock.Reading",
        "tasks.clock.Image.open",
        "tasks.os.system",
    ),
    *(
        "tasks.clock.ClockTask.parse",
        "tasks..clock.ClockTask",
        "tasks.localization._BoxTask",
        "",
        ".",
        "a",
        "tasks.",
        ".ClockTask",
    ),
    *(
        ["os.system"],
        {"a": 1},
        3,
        None,
        True,
        "tasks.clock.ClockTask ",
        "tasks.clock.\x00",
        "tasks/clock.ClockTask",
    ),
]


def test_the_projects_own_tasks_are_built() -> None:
    task = build_stored_task({"task": CLOCK})
    assert isinstance(task, ClockTask)
    assert (task.question, task.max_new_tokens) == ("Time?", 8)


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "conf" / "task").glob("*.yaml"))])
def test_every_task_of_conf_can_be_stored(name: str) -> None:
    """As a run's config.yaml has it: with what it takes from its data set."""
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = OmegaConf.to_container(compose("train", overrides=[f"task={name}"]).task, resolve=True)
    assert isinstance(build_stored_task({"task": settings}), Task)


@pytest.mark.parametrize("target", TARGETS, ids=repr)
def test_nothing_else_is_built(target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def ran(*words: Any, **options: Any) -> None:
        raise AssertionError("it was run")

    for owner, name in ((__import__("os"), "system"), (subprocess, "run"), (subprocess, "Popen")):
        monkeypatch.setattr(owner, name, ran)
    with pytest.raises(UserError, match=r"here\.yaml.*_target_"):
        build_stored_task({"task": {"_target_": target, "command": "touch /tmp/ran"}}, "here.yaml")


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"question": {"_target_": "os.system", "command": "x"}}, "'_target_'"),
        ({"question": [{"a": [{"_target_": "os.system"}]}]}, "'_target_'"),
        ({"_partial_": True}, "'_partial_'"),
        ({"_args_": ["x"]}, "'_args_'"),
        ({"_recursive_": True}, "'_recursive_'"),
        ({"_convert_": "all"}, "'_convert_'"),
        ({"__class__": "x"}, "'__class__'"),
        ({"qestion": "x"}, "Did you mean 'question'"),
        ({"question": ["x"]}, "expected str"),
        ({"question": 3}, "expected str"),
        ({"max_new_tokens": "8"}, "expected int"),
        ({"max_new_tokens": True}, "expected int"),
        ({"question": b"x"}, "plain value"),
        ({7: "x"}, "no setting 7"),
    ],
)
def test_only_plain_settings_are_given(settings: dict[Any, Any], word: str) -> None:
    with pytest.raises(UserError, match=word):
        build_stored_task({"task": CLOCK | settings})


def test_nested_settings_are_bounded() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(UserError, match="nested"):
        build_stored_task({"task": CLOCK | {"question": deep}})


@pytest.mark.parametrize("config", [{}, {"task": None}, {"task": "x"}, {"task": ["x"]}, {"task": {"a": 1}}])
def test_a_run_without_a_task_says_so(config: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="names no task"):
        build_stored_task(config)


def test_what_conf_names_is_trusted_and_another_tasks_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "conf" / "task").mkdir(parents=True)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "clock.py").write_text("raise RuntimeError('run')")
    with pytest.raises(UserError, match="no task of this project"):
        build_stored_task({"task": CLOCK}, root=tmp_path)
    (tmp_path / "conf" / "task" / "mine.yaml").write_text("_target_: tasks.clock.ClockTask\n")
    assert isinstance(build_stored_task({"task": CLOCK}, root=tmp_path), ClockTask)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (BOMB.encode(), r"alias \(\*a\)"),
        (b"a: &a\n  b: *a\n", "alias"),
        (b"[" * 100_000, "nested|not valid"),
        (b"{a: " * 100 + b"1" + b"}" * 100, "50 levels"),
        (b"- " * 5000 + b"x", "50 levels"),
        (b"x" * (LARGEST + 1), "bytes"),
        (b"a: !!python/object/apply:os.system ['touch /tmp/ran']\n", "not valid YAML"),
        (b"a: !!python/name:os.system\n", "not valid YAML"),
        (b"a: 1\na: 2\n", "duplicate key"),
        (b"a: " + b"9" * 10_000 + b"\n", "not valid YAML"),
        (b"a: \x00\n", "not valid YAML"),
        (b"\xff\xfea\x00", "not UTF-8"),
        (b"a: [1\n", "not valid YAML"),
        (b"", "holds no settings"),
        (b"- 1\n", "holds no settings"),
        (b"1: 2\n", "no name of letters"),
        (b"? [a]\n: 2\n", "not valid YAML"),
        (b"a: ${oc.env:HOME}\n", "has values"),
        (b"a: [b, '${${${x}}}']\n", "has values"),
    ],
)
def test_a_config_is_bounded(content: bytes, word: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=word) as caught:
        read_stored_config(path)
    assert str(path) in str(caught.value)


def test_a_missing_config_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_stored_config(tmp_path / "config.yaml")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
).filter(lambda value: "${" not in str(value))


@given(config=st.dictionaries(st.text(min_size=1, max_size=5), VALUES, max_size=5))
def test_what_train_writes_is_read_as_omegaconf_reads_it(
    config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(config)), encoding="utf-8")
    assert read_stored_config(path) == OmegaConf.to_container(OmegaConf.load(path))


def test_a_written_number_stays_a_number(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1e-3\nb: 2024-01-01\nc: 0.1\n")
    assert read_stored_yaml(tmp_path / "a.yaml") == {"a": 0.001, "b": "2024-01-01", "c": 0.1}


def test_a_run_folder_imports_nothing(tmp_path: Path) -> None:
    """A module that lies in the run's folder, or in the folder where the command is typed, is not found."""
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"task": {"_target_": "evil.Task"}}))
    code = (
        "from ntil.runs.stored import build_stored_task, read_stored_config\n"
        "try: build_stored_task(read_stored_config('config.yaml'))\n"
        "except Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**__import__("os").environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == "UserError", done.stderr
    assert not (tmp_path / "ran").exists()


def test_the_data_must_be_what_the_run_was_made_with(tmp_path: Path) -> None:
    run, data = tmp_path / "run", tmp_path / "data"
    made = {"data": {"folder": str(data), "records_sha256": "ab" * 32}}
    write_json(run / "provenance.json", made)
    write_json(data / "manifest.json", {"counts": {}, "records_sha256": "ab" * 32})
    assert stored_data(run) == data
    write_json(data / "manifest.json", {"counts": {}, "records_sha256": "cd" * 32})
    with pytest.raises(UserError, match=f"{'cd' * 32}.*{'ab' * 32}"):
        stored_data(run)
    with pytest.raises(UserError, match="holds no finished data set"):
        stored_data(run, moved_to=tmp_path / "elsewhere")
    for bad in ([], {"data": 3}, {"data": {"folder": 7}}, {}):
        write_json(run / "provenance.json", bad)
        with pytest.raises(UserError, match="names no data set"):
            stored_data(run)
