"""The task that results name: what tables and figures say about its answers is said by the task itself."""

import importlib
from functools import cache

from ntil.data.task import Task
from ntil.errors import UNEXPECTED, UserError
from ntil.runs.stored import ROOT, known_targets


def task_named(name: str) -> type[Task]:
    """The class of tasks/, or named in conf/task/, that is called so.

    A task that is no longer there has a Task's defaults, so that its results can still be shown. UserError where a task cannot
    be imported, or two have the name.
    """
    return _tasks().get(name, Task)


@cache
def _tasks() -> dict[str, type[Task]]:
    try:
        targets = sorted(known_targets(ROOT))
        classes = [
            getattr(importlib.import_module(module), name)
            for module, _, name in (t.rpartition(".") for t in targets)
        ]
    except (ImportError, SyntaxError, AttributeError, *UNEXPECTED) as error:
        raise UserError(f"a task cannot be imported: {type(error).__name__}: {error}.") from error
    found: dict[str, type[Task]] = {}
    for task in dict.fromkeys(classes):
        name = getattr(task, "name", None)
        if not (isinstance(task, type) and issubclass(task, Task) and isinstance(name, str)):
            continue
        if name in found:
            raise UserError(
                f"{_said(found[name])} and {_said(task)} are both called {name!r}; rename one of them."
            )
        found[name] = task
    return found


def _said(task: type[Task]) -> str:
    return f"{task.__module__}.{task.__qualname__}"
