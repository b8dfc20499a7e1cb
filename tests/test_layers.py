"""The arrows of docs/DESIGN.md: who may import whom. Read from the source with ast, so nothing needs to be installed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).resolve().parents[1]
EVERYONE = {"ntil.errors", "ntil.escape", "ntil.io", "ntil.checksums", "ntil.nonfinite"}
MAY_IMPORT = {
    "ntil/escape.py": set(),
    "ntil/startup.py": set(),
    "ntil/errors.py": {"ntil.escape", "ntil.startup"},
    "ntil/io.py": {"ntil.errors"},
    "ntil/checksums.py": {"ntil.errors", "ntil.io"},
    "ntil/nonfinite.py": {"ntil.errors"},
    "ntil/locks.py": set(),
    "ntil/settings.py": {"ntil.errors"},
    "ntil/explain": {*EVERYONE, "ntil.numbers", "ntil.losses"},
    "ntil/__main__.py": {"ntil.commands"},
    "ntil/checkout.py": {"ntil.errors"},
    "ntil/commands": {
        *EVERYONE,
        "ntil",
        *(f"ntil.{name}" for name in ("checkout", "explain", "models", "evaluation")),
    },
    "ntil/numbers": {"ntil.errors"},
    "ntil/metrics": EVERYONE,
    "ntil/losses": {"ntil.errors", "ntil.numbers"},
    "ntil/integrations": {"ntil.errors", "ntil.losses", "ntil.numbers"},
    "ntil/data": {*EVERYONE, "ntil.numbers", "ntil.metrics"},
    "ntil/models": {*EVERYONE, "ntil.checkout", "ntil.settings", "ntil.numbers", "ntil.data", "ntil.runs"},
    "ntil/runs": {*EVERYONE, "ntil.checkout", "ntil.data"},
    "ntil/evaluation": {
        *EVERYONE,
        "ntil.settings",
        "ntil.numbers",
        "ntil.data",
        "ntil.metrics",
        "ntil.models",
        "ntil.runs",
    },
    "ntil/training": {
        *EVERYONE,
        *(
            f"ntil.{name}"
            for name in (
                *("checkout", "settings", "losses", "integrations"),
                *("data", "models", "runs", "evaluation"),
            )
        ),
    },
    "tasks": {*EVERYONE, "ntil.numbers", "ntil.data", "ntil.metrics"},
    "data_prep": {*EVERYONE, "ntil.settings", "ntil.checkout", "ntil.locks", "ntil.data", "ntil.numbers"},
    "experiments": {
        *EVERYONE,
        "ntil",
        *(f"ntil.{name}" for name in ("checkout", "locks", "runs", "data", "metrics", "losses", "numbers")),
    },
}
# The floors of experiments/: a package may import those named beside it. The commands at the top may import all of them.
FLOORS = {
    "command": set(),
    "results": set(),
    "run": {"results"},
    "compare": {"results", "run"},
    "write": {"results", "run", "compare"},
    "plot": {"results", "run", "compare", "write"},
    "report": {"command", "results", "run", "compare", "write", "plot"},
    "bench": {"command", "plot"},
}
COMMANDS = ("launch", "collect", "tables", "plots", "overview", "claims", "check")
OURS = ("ntil", "tasks", "data_prep", "experiments", "train", "evaluate", "predict", "tests")
CORE = (
    "checkout.py",
    "startup.py",
    "escape.py",
    "errors.py",
    "numbers",
    "losses",
    "integrations",
    "__init__.py",
)  # needs torch and nothing else


def sources(place: str) -> list[Path]:
    path = ROOT / place
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert files, f"{place} has no Python files"
    return files


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import in a file, wherever it stands; relative ones are written out."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = list(file.relative_to(ROOT).parts[: -node.level]) if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def unit(name: str, known: tuple[str, ...] = OURS) -> str | None:
    """`ntil.data.example.Example` → `ntil.data`; `tasks.clock` → `tasks`; None for what is not ours."""
    parts = name.split(".")
    if parts[0] not in known:
        return None
    if parts[0] != "ntil" or len(parts) == 1:
        return parts[0]
    inside = ROOT / "ntil" / parts[1]
    return f"ntil.{parts[1]}" if inside.is_dir() or inside.with_suffix(".py").exists() else "ntil"


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_arrows_point_one_way(place: str) -> None:
    own = place.removesuffix(".py").replace("/", ".")
    allowed = {own, *MAY_IMPORT[place]}
    wrong = []
    for file in sources(place):
        lines: dict[int, set[str]] = {}
        for line, name in imported(file):
            if found := unit(name):
                lines.setdefault(line, set()).add(found)
        for line, units in lines.items():
            bad = (
                units - allowed - ({"ntil"} if len(units) > 1 else set())
            )  # `from ntil import x` names x as well
            wrong += [f"{file.relative_to(ROOT)}:{line} imports {name}" for name in sorted(bad)]
    assert not wrong


def test_every_package_has_its_arrows() -> None:
    packages = {f"ntil/{path.parent.name}" for path in (ROOT / "ntil").glob("*/__init__.py")}
    modules = {f"ntil/{path.name}" for path in (ROOT / "ntil").glob("*.py")} - {"ntil/__init__.py"}
    assert packages | modules == {place for place in MAY_IMPORT if place.startswith("ntil/")}


@pytest.mark.parametrize("package", FLOORS)
def test_packages_of_experiments_import_the_floors_below_alone(package: str) -> None:
    place = f"experiments/{package}"
    wrong = []
    for file in sources(place if (ROOT / place).is_dir() else f"{place}.py"):
        for line, name in imported(file):
            first, _, rest = name.partition(".")
            floor = rest.split(".")[0]
            if first == "experiments" and floor and floor not in {package, *FLOORS[package]}:
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong


def test_experiments_has_its_floors_and_its_commands_alone() -> None:
    inside = {path.stem for path in (ROOT / "experiments").iterdir() if (path / "__init__.py").exists()}
    modules = {path.stem for path in (ROOT / "experiments").glob("*.py")} - {"__init__"}
    assert inside | modules == {*FLOORS, *COMMANDS}
    lines = {name: len((ROOT / f"experiments/{name}.py").read_text().splitlines()) for name in COMMANDS}
    assert max(lines.values()) <= 80, "a command says what may be typed; what it does stands in a package"


def test_experiments_use_nothing_private_of_other_packages() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in sources("experiments")
        for line, name in imported(file)
        if any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
    ]
    assert not wrong


def module(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules_imported() -> networkx.DiGraph:
    """An edge from each module of ours to each that it imports, in functions and for type checkers too."""
    files = {
        module(file): file
        for place in ("ntil", "tasks", "data_prep", "experiments")
        for file in sources(place)
    }
    graph = networkx.DiGraph()
    for own, file in files.items():
        names = {name for _, name in imported(file)}
        for name in names:
            found = name if name in files else name.rpartition(".")[0]
            of_modules = {other for other in names if other.rpartition(".")[0] == name}
            if found in files and found != own and not (of_modules and of_modules <= files.keys()):
                graph.add_edge(own, found)
    return graph


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = modules_imported()
    assert networkx.is_directed_acyclic_graph(graph), networkx.find_cycle(graph)
    assert graph.has_edge("experiments.plot.curves", "experiments.plot.panels")  # the graph is not empty


@pytest.mark.parametrize("place", CORE)
def test_the_core_imports_torch_and_nothing_else(place: str) -> None:
    names = {
        name.split(".")[0] for file in sources(f"ntil/{place}") for _, name in imported(file) if name
    } - sys.stdlib_module_names
    assert names <= {"torch", "ntil"}


BLOCKER = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Refuse())
import torch
import ntil

vocab = ntil.NumberVocab.from_texts([*"0123456789.", "a"])
full = ntil.WithCrossEntropy(ntil.NTIL(vocab))
logits = torch.randn(2, 3, 12, requires_grad=True)
full(logits, torch.tensor([[1, 2, 3], [11, 4, -100]])).backward()
ntil.integrations.hf_loss(full)({{"logits": logits}}, torch.tensor([[1, 2, 3], [11, 4, -100]])).backward()
print(sorted(sys.modules.keys() & {blocked!r}))
"""
EXTRAS = {
    *(
        "transformers",
        "tokenizers",
        "accelerate",
        "safetensors",
        "hydra",
        "omegaconf",
        "pandas",
        "PIL",
        "rich",
    ),
    *("matplotlib", "filelock", "wandb", "shapely", "pycocotools", "torchvision", "psutil"),
}


def test_the_losses_run_without_the_extras() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER.format(blocked=EXTRAS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
