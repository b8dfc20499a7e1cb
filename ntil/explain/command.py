"""The command: texts in, a table on the console and a picture in a file out. The losses need torch alone; so does the table,
which rich draws where it is installed, and the picture needs matplotlib."""

import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path

from ntil.errors import UserError
from ntil.explain.curves import Candidates, candidates
from ntil.explain.report import Report, make_report
from ntil.explain.tokens import Tokens
from ntil.explain.words import ordinal

PUBLISHED = (
    "NTIL's terms are published (ACL 2025). How it reads a point, and its weights, are the released code's and not "
    "confirmed as the paper's. All losses: docs/losses.md."
)


def run(target: str, predictions: Sequence[str], tokenizer: Path | None, sure: float, png: Path) -> None:
    """Print the table and what it says, and draw the picture where there is one; UserError for what the user can mend."""
    if png.suffix.lower() != ".png":
        raise UserError(f"--png {png} must end in .png, the only format that is drawn.")
    tokens = Tokens.characters() if tokenizer is None else Tokens.load(tokenizer)
    report = make_report(target, predictions, tokens, sure)
    if _installed("rich"):
        from ntil.explain.table import show_report
    else:
        from ntil.explain.plain import show_report
    show_report(report, PUBLISHED)
    shown = candidates(report)
    if isinstance(shown, str):
        print(textwrap.fill(f"No picture: {shown}.", shutil.get_terminal_size().columns))
        return
    if not _installed("matplotlib"):
        print("No picture: it needs matplotlib (pip install 'ntil[explain]').")
        return
    draw(report, shown, png)
    which = (
        f"all {len(shown.values):,}"
        if shown.every == 1
        else f"{len(shown.values):,} (every {ordinal(shown.every)})"
    )
    print(f"Picture of every loss over {which} predictions: {png}")


def draw(report: Report, shown: Candidates, png: Path) -> None:
    """`ntil.explain.picture.draw`, which needs matplotlib."""
    from ntil.explain import picture

    picture.draw(report, shown, png)


def _installed(package: str) -> bool:
    try:
        __import__(package)
    except ImportError:
        return False
    return True
