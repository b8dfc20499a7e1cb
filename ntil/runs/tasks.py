"""The task that results name: what tables and figures say about its answers is said by the task itself."""

import importlib
from functools import cache

from ntil.data.task import Task
from ntil.errors import UNEXPECTED, UserError
from ntil.runs.stored import ROOT, known_targets


def task_named(name: str) -> type[Task]:
    """The class of tasks/, or named in conf/task/, that is called so.

    A task that is no longer there has a Task's defaults, so that its results can still be shown. UserError where two have the
    name, or where it may be one that cannot be imported.
    """
    found, failed = _tasks()
    if name not in found and failed:
        raise UserError(f"the task {name!r} is not found, and {'; '.join(failed)}.")
    return found.get(name, Task)


@cache
def _tasks() -> tuple[dict[str, type[Task]], list[str]]:
    """(tasks by name, what could not be imported and why)."""
    found: dict[str, type[Task]] = {}
    failed: list[str] = []
    for target in _targets():
        module, _, attribute = target.rpartition(".")
        try:
            task = getattr(importlib.import_module(module), attribute)
        except (ImportError, SyntaxError, *UNEXPECTED) as error:
            failed.append(f"{target} cannot be imported ({type(error).__name__}: {error})")
            continue
        name = getattr(task, "name", None)
        if not (isinstance(task, type) and issubclass(task, Task) and isinstance(name, str)):
            continue
        if found.setdefault(name, task) is not task:
            raise UserError(
                f"{_said(found[name])} and {_said(task)} are both called {name!r}; rename one of them."
            )
    return found, failed


def _targets() -> list[str]:
    try:
        return sorted(known_targets(ROOT))
    except (ImportError, SyntaxError, *UNEXPECTED) as error:
        raise UserError(f"a module of tasks/ cannot be imported: {type(error).__name__}: {error}.") from error


def _said(task: type[Task]) -> str:
    return f"{task.__module__}.{task.__qualname__}"
