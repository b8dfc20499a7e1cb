"""The wheel: what it holds, and that it works where torch alone is installed."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"commands", "explain", "integrations", "losses", "metrics", "numbers"}
# Modules that need more than torch, and what.
NEED = {
    "ntil.explain.picture": "matplotlib",
    "ntil.explain.table": "rich",
    "ntil.locks": "filelock",
    "ntil.metrics.polygons": "shapely",
    "ntil.settings": "omegaconf",
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like site-packages with the wheel, torch, and what torch itself requires."""
    pytest.importorskip("setuptools")
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("ntil", "tasks", "conf", "data_prep", "experiments"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    done = subprocess.run([*build, "-w", str(source), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = source.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in requirements("torch"):
        for file in metadata.files(name) or []:
            top = Path(file.parts[0])
            if ".." not in file.parts and not (site / top).exists():
                (site / top).symlink_to(Path(str(metadata.distribution(name).locate_file(top))))
    return site


def requirements(name: str) -> set[str]:
    """An installed distribution and all that it requires."""
    found, waiting = set(), [name]
    while waiting:
        if (name := waiting.pop()) in found:
            continue
        try:
            wanted = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another platform
            continue
        found.add(name)
        waiting += [re.split(r"[^\w.-]", text)[0] for text in wanted if "extra ==" not in text]
    return found


def python(site: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """An interpreter that has this folder and the standard library."""
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100", "PYTHONNOUSERSITE": "1"}
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_it_holds_the_losses_and_no_half_of_the_pipeline(unpacked: Path) -> None:
    inside = {path.name for path in (unpacked / "ntil").iterdir() if path.is_dir()}
    assert inside - {"__pycache__"} == PACKAGES
    assert (unpacked / "ntil" / "py.typed").is_file()
    assert not {"tasks", "conf", "data_prep", "experiments"} & {path.name for path in unpacked.iterdir()}
    (entries,) = unpacked.glob("ntil-*.dist-info/entry_points.txt")
    assert "ntil = ntil.commands:console" in entries.read_text()


def test_each_module_imports_with_torch_or_says_what_it_needs(unpacked: Path, tmp_path: Path) -> None:
    modules = sorted(
        ".".join(path.relative_to(unpacked).with_suffix("").parts).removesuffix(".__init__")
        for path in (unpacked / "ntil").rglob("*.py")
    )
    code = f"""
import importlib
for name in {modules}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(name, error.name)
"""
    done = python(unpacked, "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    missing = dict(line.split() for line in done.stdout.splitlines())
    torch_brings = {name for name, needed in NEED.items() if needed in requirements("torch")}
    assert missing == {name: needed for name, needed in NEED.items() if name not in torch_brings}


def test_a_loss_with_torch_alone(unpacked: Path, tmp_path: Path) -> None:
    code = """
import torch, ntil
vocab = ntil.NumberVocab.from_texts([*"0123456789.", "a"])
loss = ntil.WithCrossEntropy(ntil.NTIL(vocab))
logits = torch.randn(2, 3, 12, requires_grad=True)
loss(logits, torch.tensor([[1, 2, 3], [11, 4, -100]])).backward()
assert logits.grad.isfinite().all() and (logits.grad != 0).any()
print(ntil.__file__)
"""
    done = python(unpacked, "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == unpacked / "ntil"


def test_explain_in_plain_text(unpacked: Path, tmp_path: Path) -> None:
    done = python(unpacked, "-m", "ntil", "explain", "0.98", "1.01", "1.98", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"= NTIL +0\.000 +6\.874 +0\.453 +1\.98 ✗", done.stdout)
    assert re.search(r"= NTIL decimal +0\.000 +0\.020 +0\.629 +1\.01 ✓", done.stdout)
    assert "No picture: it needs matplotlib (pip install 'ntil[explain]')." in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["view", "a-run"], ["export", "a-run", "--out", "b"], ["convert", "a-model", "--out", "b"]],
    ids=lambda arguments: arguments[0],
)
def test_what_needs_the_checkout_says_so(arguments: list[str], unpacked: Path, tmp_path: Path) -> None:
    done = python(unpacked, "-m", "ntil", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        f"error: `ntil {arguments[0]}` runs from the project's checkout"
    )
    assert "Traceback" not in done.stderr
    assert python(unpacked, "-m", "ntil", arguments[0], "--help", folder=tmp_path).returncode == 0
