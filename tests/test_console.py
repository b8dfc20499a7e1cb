"""The console command `ntil`: help that teaches, and mistakes that are answered."""

import os
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from fixtures import finished, workplace

from ntil import __version__
from ntil.checkout import CONF, ROOT, TASKS, check_checkout
from ntil.commands import COMMANDS, main
from ntil.errors import UserError

__all__ = ["finished", "workplace"]


def test_the_script_is_the_command() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert list(scripts) == ["ntil"]
    module, _, name = scripts["ntil"].partition(":")
    assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("typed", [[], ["--help"]], ids=str)
def test_help_names_every_command(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(typed)
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert all(
        f"    {name}" in out and module.TITLE in " ".join(out.split()) for name, module in COMMANDS.items()
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_shows_how_to_use_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert f"  ntil {name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("explian", "explain"), ("exprt", "export"), ("veiw", "view"), ("Convert", "convert")],
)
def test_a_mistyped_command(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([typed, "0.98"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: there is no command {typed!r}. Did you mean ")
    assert repr(meant) in err


def test_nothing_like_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zzzz"]) == 2
    assert capsys.readouterr().err == "error: there is no command 'zzzz'. `ntil --help` shows them all.\n"


@pytest.mark.parametrize("typed", [["view"], ["export", "run"], ["explain"], ["--nothing"]], ids=str)
def test_what_is_missing_ends_with_2(typed: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(typed)
    assert end.value.code == 2


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"ntil {__version__}\n"


def test_python_m_ntil_is_the_same_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, runpy; sys.argv = ['ntil', 'explian']\n"
        "try: runpy.run_module('ntil', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, sorted({'transformers', 'hydra', 'rich', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "2 []\n", done.stderr


def test_the_checkout_is_found() -> None:
    assert (CONF / "train.yaml").is_file()
    assert (TASKS / "__init__.py").is_file()
    check_checkout("ntil view")


@pytest.mark.parametrize("there", [[], ["tasks"], ["conf"]], ids=str)
def test_without_a_checkout_the_command_says_so(there: list[str], tmp_path: Path) -> None:
    for name in there:
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="`ntil view` runs from the project's checkout"):
        check_checkout("ntil view", tmp_path)


def test_a_run_is_viewed_from_any_folder(finished: Path, tmp_path: Path) -> None:
    """As the installed script starts: neither the checkout nor its tasks/ are on the path by themselves."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "ntil").symlink_to(ROOT / "ntil", target_is_directory=True)
    copy = shutil.copytree(finished, tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-c", "from ntil.commands import console; console()", "view", str(copy)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert (copy / "view.html").exists()
