"""Where NTIL pays and where it does not: every setting that was run with CE, EMD and NTIL, on one page.

    python -m experiments.overview

Writes results/overview.md and its figure from results/ alone, and the page's short form between the overview marks of
README.md. What a setting is: experiments/compare/settings.py. The verdicts by its other metrics and splits are counted beside its
own. Settings with fewer than three seeds are shown and not counted.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.command import add_results, parser_of
from experiments.compare.settings import settings
from experiments.plot.intervals import draw_settings
from experiments.results.store import Store
from experiments.write.overview import PAGE, page, with_statement
from ntil.checkout import CONF, ROOT
from ntil.errors import guard, run_command
from ntil.io import write_text

README = ROOT / "README.md"


def main(argv: Sequence[str] | None = None, conf: Path = CONF, readme: Path = README) -> int:
    parser = parser_of("overview", __doc__)
    add_results(parser)
    arguments = parser.parse_args(argv)
    return guard(lambda: overview(arguments.results, conf, readme))


def overview(results: Path, conf: Path, readme: Path) -> int:
    store = Store(results)
    found = settings(store, conf)
    for path in draw_settings(store.overview_figure, found):
        print(path)
    write_text(results / PAGE, page(found))
    print(results / PAGE)
    if readme.exists():
        write_text(readme, with_statement(readme.read_text(encoding="utf-8"), found))
    return 0


if __name__ == "__main__":
    run_command(main)
