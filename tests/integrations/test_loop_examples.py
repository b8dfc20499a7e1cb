"""Every script in examples/, for a few steps."""

import ast
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NEEDS = {
    "plain_pytorch": [],
    "hf_trainer": [],
    "trl_sft": ["trl", "datasets"],
    "lightning_module": ["lightning"],
}


def load(name: str) -> Any:
    for package in ["transformers", *NEEDS[name]]:
        pytest.importorskip(package)
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NEEDS)
def test_it_learns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = load(name).main(steps=25)
    assert after < 0.8 * before
    printed = capsys.readouterr().out.splitlines()
    assert f"{before:.3f} before, {after:.3f} after 25 steps" in "\n".join(printed)
    assert all("+" in line and "=" in line for line in printed[-6:]), "six generations"


@pytest.mark.parametrize("name", NEEDS)
def test_its_first_line_is_the_command(name: str) -> None:
    source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert source.startswith(f"# python examples/{name}.py")
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert name not in imported, "a script that imports a package of its own name imports itself"
    assert name not in sys.stdlib_module_names


def test_there_is_a_test_for_every_example() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(NEEDS)
