"""The command: texts in, a table on the console and a picture in a file out."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ntil.errors import UserError
from ntil.explain.curves import candidates
from ntil.explain.picture import draw
from ntil.explain.report import make_report
from ntil.explain.table import legend, tables
from ntil.explain.tokens import Tokens
from ntil.explain.words import findings, ordinal, setting

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
    console = Console(highlight=False)
    console.print(setting(report))
    console.print()
    shown_tables, explained = tables(report, console.width)
    for table in shown_tables:
        console.print(table, "")
    for sentence in findings(report):
        console.print(f"• {sentence}")
    if not explained:
        console.print("\nWhat the rows measure", style="bold")
        console.print(legend(report))
    console.print(f"\n{PUBLISHED}", style="dim")
    shown = candidates(report)
    if isinstance(shown, str):
        console.print(f"No picture: {shown}.")
        return
    draw(report, shown, png)
    which = (
        f"all {len(shown.values):,}"
        if shown.every == 1
        else f"{len(shown.values):,} (every {ordinal(shown.every)})"
    )
    console.print(f"Picture of every loss over {which} predictions: {png}", soft_wrap=True)
