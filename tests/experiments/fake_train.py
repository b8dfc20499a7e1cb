"""Stands in for train.py: python fake_train.py PLAN.json override…

PLAN.json: {"runs": {"<overrides>": {"folder": …, "config": …}}, "manners": {"<loss>": "ok" | "fail" | "wait" | "deaf" | "colour" |
"until-waited-for"}}. The last goes on until its folder holds a file `waited-for`.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import yaml
from filelock import FileLock, Timeout


def main() -> int:
    plan = json.loads(Path(sys.argv[1]).read_text())
    run = plan["runs"][" ".join(sys.argv[2:])]
    folder = Path(run["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))  # let go of with its last reference
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(
            f"error: {folder} is being trained by another process; wait for it, or stop it.", file=sys.stderr
        )
        return 2
    return train(folder, run["config"], plan["manners"].get(run["config"]["choices"]["loss"], "ok"))


def train(folder: Path, config: dict[str, object], manner: str) -> int:
    if manner == "deaf":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    log = folder / "train.jsonl"
    log.write_text('{"step": 5, "loss": 1.0}\n{"step": 10, "lo')  # the last line is still being written
    (folder / "pid").write_text(str(os.getpid()))
    start = time.time()
    if manner == "fail":
        print("line before\nerror: the loss exploded", file=sys.stderr)
        return 1
    if manner == "colour":
        print("\x1b[31mred\x1b[0m \x1b]0;title\x07 [bold]text", file=sys.stderr)
        return 1
    try:
        while manner == "until-waited-for" and not (folder / "waited-for").exists():
            time.sleep(0.05)
        time.sleep({"wait": 60, "deaf": 60}.get(manner, 0.5))
    except KeyboardInterrupt:
        (folder / "saved").touch()
        return 130
    spent = {
        "start": start,
        "end": time.time(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "mkl": os.environ.get("MKL_NUM_THREADS"),
    }
    (folder / "spent.json").write_text(json.dumps(spent))
    (folder / "COMPLETE").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
