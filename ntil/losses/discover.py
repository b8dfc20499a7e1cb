"""Which number losses there are: found by scanning this package, so that a new one is one new module and no list is edited."""

import importlib
import inspect
import pkgutil

import ntil.losses
from ntil.losses.base import NumberLoss


def number_losses() -> dict[str, type[NumberLoss]]:
    """Every number loss that a module of `ntil.losses` defines, by its class's name, in alphabetical order.

    A class counts when it derives from `NumberLoss` and has `names`, which bases without terms of their own do not.
    """
    found = {}
    for module in pkgutil.iter_modules(ntil.losses.__path__, "ntil.losses."):
        for name, item in vars(importlib.import_module(module.name)).items():
            is_ours = inspect.isclass(item) and item.__module__ == module.name
            if is_ours and issubclass(item, NumberLoss) and hasattr(item, "names"):
                found[name] = item
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))
