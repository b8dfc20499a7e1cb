"""The version stands in one place."""

import re
import tomllib
from pathlib import Path

import pytest

import ntil

ROOT = Path(__file__).resolve().parents[1]


def test_the_package_gets_its_version_from_the_source() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    assert "version" in project["dynamic"]
    built = pytest.importorskip("setuptools.config.pyprojecttoml").read_configuration(ROOT / "pyproject.toml")
    assert built["project"]["version"] == ntil.__version__


def test_no_other_file_states_it() -> None:
    files = [
        path
        for folder in ("ntil", "tasks", "data_prep", "experiments")
        for path in (ROOT / folder).rglob("*.py")
    ]
    said = [
        path
        for path in files
        if re.search(rf"""["']{re.escape(ntil.__version__)}["']""", path.read_text("utf-8"))
    ]
    assert said == [ROOT / "ntil" / "__init__.py"]
