import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import data_prep
from data_prep.__main__ import main
from data_prep.configs import CONFIGS, available, read, with_overrides
from data_prep.registry import request
from ntil.data.example import read_examples, read_manifest
from ntil.errors import UserError

SMALL = [
    "--size",
    "24",
    "--train",
    "3",
    "--val",
    "1",
    "--test",
    "2",
    "--heldout-faces",
    "2",
    "--workers",
    "1",
]


def test_clock_end_to_end_in_its_own_process(tmp_path):
    out = tmp_path / "clocks"
    command = [sys.executable, "-m", "data_prep", "clock", "--difficulty", "hard", "--out", str(out), *SMALL]
    done = subprocess.run(command, cwd=CONFIGS.parent.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "is ready" in done.stdout
    assert len(read_examples(out, "test")) == 2
    assert sorted(path.name for path in out.iterdir()) == [
        "contact_sheet.png",
        "images",
        "manifest.json",
        "records.jsonl",
    ]


def test_same_command_is_up_to_date_and_another_is_refused(tmp_path, capsys):
    arguments = ["clock", "--out", str(tmp_path / "clocks"), *SMALL]
    assert main(arguments) == 0
    records = (tmp_path / "clocks" / "records.jsonl").stat().st_mtime_ns
    assert main(arguments) == 0
    assert "up to date" in capsys.readouterr().out
    assert main([*arguments, "--seed", "7"]) == 2
    error = capsys.readouterr().err
    assert "config.seed was 0 and is now 7" in error
    assert "Traceback" not in error
    assert (tmp_path / "clocks" / "records.jsonl").stat().st_mtime_ns == records


def test_set_reaches_the_pictures(tmp_path):
    out = tmp_path / "clocks"
    values = ["--set", "style.seconds.probability=1", "--set", "style.faces.train.numerals={roman: 1}"]
    assert main(["clock", "--out", str(out), *SMALL, *values]) == 0
    examples = read_examples(out, "train")
    assert all(example.meta["seconds"] and example.meta["numerals"] == "roman" for example in examples)
    assert read_manifest(out)["config"]["style"]["seconds"]["probability"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clock", "--difficulty", "meduim"], "Did you mean 'medium'"),
        (["clock", "--set", "style.seconds.probabilty=1"], "Did you mean 'style.seconds.probability'"),
        (["clock", "--set", "styl.seconds.probability=1"], "Did you mean 'style.seconds.probability'"),
        (["clock", "--set", "radius=0.3"], "'radius'"),
        (["clock", "--set", "style.dial.radius"], "takes KEY=VALUE"),
        (["clock", "--set", "style.dial.radius=[0.3"], "not a YAML value"),
        (["clock", "--set", "style.dial.radius=9"], "outside 0.1 to 0.5 picture sides"),
        (["clock_time", "--raw", "nowhere"], "train/, valid/, test/ missing"),
    ],
)
def test_mistakes_are_explained(arguments, message, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "x")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "x").exists()


def test_list_and_help(capsys):
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    for name in (*data_prep.BUILDERS, *available()):
        assert name in listed
    with pytest.raises(SystemExit) as stop:
        main(["clock", "--help"])
    assert stop.value.code == 0
    assert "--set style.seconds.probability=0.5" in capsys.readouterr().out


@pytest.mark.parametrize("name", available())
def test_hydra_reads_a_config_as_the_command_line_does(name):
    with initialize_config_dir(str(CONFIGS), version_base=None):
        composed = OmegaConf.to_container(compose(name))
    assert composed == read(name)
    assert composed["name"] == name


@pytest.mark.parametrize(
    "name", [name for name in available() if name in ("clock_easy", "clock_medium", "clock_hard")]
)
def test_published_configs_open_with_the_command_that_builds_them(name):
    first = (CONFIGS / f"{name}.yaml").read_text().splitlines()[0]
    level = name.removeprefix("clock_")
    assert first == f"# python -m data_prep clock --difficulty {level} --out data/{name}"
    assert request(read(name)).config.name == name


def test_overrides_leave_the_original_alone():
    data = read("clock_easy")
    before = yaml.safe_dump(data)
    changed = with_overrides(data, ["splits.train=5", ("size", 128)])
    assert (changed["splits"]["train"], changed["size"]) == (5, 128)
    assert yaml.safe_dump(data) == before
    with pytest.raises(UserError, match="There is no data config"):
        read(str(Path("nothing")))
