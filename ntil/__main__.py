"""python -m ntil explain 0.98 1.01 1.98: what each loss says about some predictions of a number."""

import argparse
import sys
from pathlib import Path

from ntil.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m ntil", description="Number-aware losses for autoregressive models.", epilog=__doc__
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    explain = commands.add_parser(
        "explain",
        help="a table and a picture of every loss for a target and some predictions",
        description="Compare the losses on predictions of one number. The model is taken to be nearly sure of each "
        "prediction; the picture shows each loss over all predictions with as many digits.",
    )
    explain.add_argument("target", help="the true number as text, such as 0.98")
    explain.add_argument("predictions", nargs="+", help="what a model might write instead")
    explain.add_argument(
        "--tokenizer", type=Path, help="tokenizer.json, or a folder with one; default: characters"
    )
    explain.add_argument(
        "--sure", type=float, default=0.999, help="probability of each predicted token (default 0.999)"
    )
    explain.add_argument(
        "--png", type=Path, default=Path("explain.png"), help="where the picture goes (explain.png)"
    )
    options = parser.parse_args(arguments)
    try:
        from ntil.explain import run

        run(options.target, options.predictions, options.tokenizer, options.sure, options.png)
    except ImportError as error:
        print(
            f"error: `explain` draws with the train extra: pip install 'ntil[train]' ({error}).",
            file=sys.stderr,
        )
        return 2
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
