"""Each claim of the paper, the command that tests it here, what came out, and a verdict → docs/paper_index.md.

    python -m experiments.claims

The claims stand in conf/claims.yaml; results come from results/ alone.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.command import add_results, parser_of
from experiments.results.store import Store
from experiments.write.claims import PAGE, page, read_claims
from ntil.checkout import CONF
from ntil.errors import guard, run_command
from ntil.io import write_text


def main(argv: Sequence[str] | None = None, conf: Path = CONF) -> int:
    parser = parser_of("claims", __doc__)
    add_results(parser)
    parser.add_argument(
        "--out", type=Path, default=PAGE, help="the page to write (default: docs/paper_index.md)"
    )
    arguments = parser.parse_args(argv)

    def write() -> int:
        write_text(arguments.out, page(read_claims(conf), Store(arguments.results), conf))
        print(arguments.out)
        return 0

    return guard(write)


if __name__ == "__main__":
    run_command(main)
