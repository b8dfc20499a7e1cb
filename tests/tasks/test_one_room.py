"""What is said about a task is said by the task: no other module of the pipeline or of the experiments knows one by name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ntil.data.magnitude import WRONG_DIGITS, Magnitude
from ntil.data.task import Task
from ntil.errors import UserError
from ntil.runs import tasks as finder
from ntil.runs.tasks import _tasks, task_named

ROOT = Path(__file__).parents[2]
FILES = sorted(
    [*(ROOT / "ntil").rglob("*.py"), *(ROOT / "experiments").rglob("*.py"), *ROOT.glob("*.py")]
    + [
        path
        for path in (ROOT / "data_prep").glob("*.py")
        if "BUILDER = " not in path.read_text(encoding="utf-8")
    ]
)


def words(path: Path) -> set[str]:
    """The texts of a module that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
    }


def test_no_module_knows_a_task_by_name() -> None:
    names = set(_tasks()[0])
    assert {"clock", "arithmetic", "localization", "detection", "text_detection", "mathvista"} <= names
    assert {"regression", "receipt", "forecast"} <= names
    assert {str(path.relative_to(ROOT)): found for path in FILES if (found := names & words(path))} == {}


@pytest.mark.parametrize("path", sorted((ROOT / "conf" / "task").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_task_is_found_by_its_name(path: Path) -> None:
    found = task_named(path.stem)
    assert f"_target_: {found.__module__}.{found.__qualname__}\n" in path.read_text(encoding="utf-8")


def test_a_task_that_is_gone_has_the_defaults() -> None:
    assert task_named("sundial") is Task
    assert task_named("sundial").magnitude is WRONG_DIGITS


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """What the checkout names, to be changed."""
    named = {"tasks.clock.ClockTask"}
    monkeypatch.setattr(finder, "known_targets", lambda root: named)
    _tasks.cache_clear()
    yield named
    _tasks.cache_clear()


def test_a_task_that_cannot_be_imported_stops_only_its_own_results(targets: set[str]) -> None:
    targets.add("elsewhere.Sundial")
    assert task_named("clock").__qualname__ == "ClockTask"
    with pytest.raises(UserError, match=r"'sundial' is not found, and elsewhere\.Sundial cannot be imported"):
        task_named("sundial")


def test_two_tasks_of_one_name_are_refused(targets: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.arithmetic.ArithmeticTask.name", "clock")
    targets.add("tasks.arithmetic.ArithmeticTask")
    with pytest.raises(UserError, match="are both called 'clock'; rename one of them"):
        task_named("clock")


def test_bins_of_any_edges() -> None:
    rising = Magnitude("degrees off", (0, 0.5, 1, 5), "none")
    assert rising.bins == ("0–0.5", "0.5–1", "1–5", "5+", "none")
    assert [rising.bin(error) for error in (0, 0.5, 7, -1, None, float("nan"), float("inf"))] == [
        *("0–0.5", "0.5–1", "5+", "0–0.5", "none", "none", "5+")
    ]
    falling = Magnitude("share", (0.9, 0.5, 0), "none", names=("a", "b", "c"))
    assert [falling.bin(share) for share in (1, 0.9, 0.6, 0.1, -0.1)] == ["a", "a", "b", "c", "c"]
    for edges, names in (((0, 0), ()), ((1,), ()), ((0, 2, 1), ()), ((0, 1), ("one",))):
        with pytest.raises(ValueError, match="'x'"):
            Magnitude("x", edges, "none", names=names)
