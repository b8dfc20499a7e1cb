"""Runs the commands given as JSON on standard input one after the other, in this one process, as a shell would.

python walk.py < commands.json          [["train.py", "task=clock"], ["-m", "experiments.collect"]]
"""

import json
import runpy
import sys
from pathlib import Path


def main() -> None:
    from hydra.core.global_hydra import GlobalHydra

    sys.path[0] = str(Path.cwd())  # as if each script were started from here
    for words in json.load(sys.stdin):
        print("$ python", *words, flush=True)
        by_name = words[0] == "-m"
        sys.argv = words[1:] if by_name else words
        try:
            if by_name:
                runpy.run_module(words[1], run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(words[0], run_name="__main__")
        except SystemExit as end:
            if end.code:
                sys.exit(f"python {' '.join(words)} ended with {end.code}")
        GlobalHydra.instance().clear()


if __name__ == "__main__":
    main()
