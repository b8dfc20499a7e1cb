"""Where the checkout's folders are. The losses and `ntil explain` work wherever they are installed; what trains, scores or
reads a run needs conf/ and tasks/ beside the package, so it runs from the checkout."""

import sys
from pathlib import Path

from ntil.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
TASKS = ROOT / "tasks"


def check_checkout(command: str, root: Path = ROOT) -> None:
    """Let the packages beside this one (tasks, data_prep) be imported, from wherever the command is typed.

    UserError where the package in `root` is not a checkout's; command: what needs one.
    """
    if not (root / "conf" / "train.yaml").is_file() or not (root / "tasks").is_dir():
        raise UserError(
            f"`{command}` runs from the project's checkout, and this is an installed package ({root / 'ntil'}), which holds "
            "the losses and `ntil explain` alone. Clone the repository and run `make install` in it; its .venv/bin/ntil has all commands."
        )
    if str(root) not in sys.path:
        sys.path.append(str(root))
