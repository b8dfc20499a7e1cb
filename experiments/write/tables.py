"""Write the tables of experiments, and show them."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from experiments.compare.spec import chosen
from experiments.results.store import Store
from experiments.write.tabulate import tabulate
from ntil.checkout import CONF
from ntil.io import write_text


def tables(results: Path, names: Sequence[str], conf: Path = CONF) -> int:
    """Returns the exit code 0; UserError where there is nothing to show."""
    store = Store(results)
    for name in chosen(store, list(names), conf):
        files = tabulate(store, name, conf).files()
        for file, text in files.items():
            write_text(store.tables / file, text)
        show(files[f"{name}.md"])
    return 0


def show(text: str) -> None:
    """Rendered on a terminal, as it is into a pipe."""
    if sys.stdout.isatty():
        Console().print(Markdown(text))
    else:
        print(text)
