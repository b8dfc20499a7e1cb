"""Training records whose picture could not be read and that others stood in for: a file in the run's folder names them."""

import json
import sys
from pathlib import Path

from ntil.data.example import Example
from ntil.errors import UserError
from ntil.escape import terminal
from ntil.io import read_jsonl, writing

REPLACED = "replaced.jsonl"  # {"id", "reason"}, a line for each record


class ReplacedLog:
    """Says on standard error, and writes to the run's folder, which records were replaced: each once for a process.

    It is called in the processes that load the data, several of which may meet the same record.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / REPLACED
        self._named: set[str] = set()

    def __call__(self, example: Example, reason: str) -> None:
        if example.id in self._named:
            return
        self._named.add(example.id)
        print(terminal(f"warning: {reason} Another record is trained on in its place."), file=sys.stderr)
        line = json.dumps({"id": example.id, "reason": reason}) + "\n"
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line)


def replaced_records(folder: Path) -> int:
    """How many records of the run's training were replaced; lines that a killed process tore are left out."""
    path = folder / REPLACED
    if not path.is_file():
        return 0
    ids = set()
    try:
        for row in read_jsonl(path):
            ids.add(str(row.get("id")))
    except UserError as error:
        print(terminal(f"warning: {error} The records named before are counted."), file=sys.stderr)
    return len(ids)
