"""DeepMind's Mathematics Dataset v1.0: text files of alternating question and answer lines.

    <raw>/train-easy|train-medium|train-hard|interpolate|extrapolate/<module>.txt

Only questions whose answer is one number become records. What does not is counted for each file, with the reason; a question
without an answer line at the end of a file is named too.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Annotated

from data_prep.schema import Within
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError, did_you_mean
from ntil.numbers.text import parse_number

VERSION = 1  # raise it whenever the same config gives other records
PARTS = ("train-easy", "train-medium", "train-hard", "interpolate", "extrapolate")
HOME = "https://github.com/google-deepmind/mathematics_dataset"


@dataclass(frozen=True)
class DeepMindConfig:
    name: str
    builder: str
    raw: str  # the unpacked folder (mathematics_dataset-v1.0)
    modules: list[str]  # file names without .txt; [] for all
    parts: dict[str, list[str]]  # our split → their folders
    val: Annotated[int, Within(0, 1_000_000)]  # the first so many of each training file become val
    limit: Annotated[int, Within(1, 10_000_000)]  # questions read from each file, at most

    def __post_init__(self) -> None:
        for split, folders in self.parts.items():
            for folder in folders:
                if folder not in PARTS:
                    near = did_you_mean(folder, PARTS)
                    raise UserError(f"parts.{split} names {folder!r}.{near} They are: {', '.join(PARTS)}.")


def plan(config: DeepMindConfig) -> Plan:
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for split, folders in config.parts.items():
        for folder in folders:
            for path in _files(config, folder):
                _read(config, split, path, examples, skipped)
    return Plan(jobs=examples, make=Made, caption=lambda example: example.query or "", skipped=skipped)


def _files(config: DeepMindConfig, folder: str) -> list[Path]:
    place = Path(config.raw) / folder
    if not place.is_dir():
        raise UserError(f"{place} is missing. Its owners publish the data set at {HOME}")
    found = {path.stem: path for path in sorted(place.glob("*.txt"))}
    if not found:
        raise UserError(f"{place} holds no .txt files; see {HOME}")
    if not config.modules:
        return list(found.values())
    if not any(module in found for module in config.modules):
        raise UserError(
            f"{place} has none of the modules {', '.join(config.modules)}."
            f"{did_you_mean(config.modules[0], found)}"
        )
    return [found[module] for module in config.modules if module in found]  # extrapolate/ has fewer


def _read(
    config: DeepMindConfig, split: str, path: Path, examples: list[Example], skipped: list[Skipped]
) -> None:
    reasons: Counter[str] = Counter()
    for number, (question, answer) in enumerate(islice(_pairs(path), config.limit)):
        why = _fault(question, answer)
        if why:
            reasons[why] += 1
            continue
        home = "val" if split == "train" and number < config.val else split
        name = f"{path.parent.name}-{path.stem}-{number:07d}"
        examples.append(
            Example(
                id=name,
                split=home,
                query=question,
                target={"answer": answer},
                meta={"module": path.stem, "part": path.parent.name},
            )
        )
    where = f"{path.parent.name}/{path.name}"
    skipped += [Skipped(f"{where}: {count} questions", why) for why, count in sorted(reasons.items())]


def _pairs(path: Path) -> Iterator[tuple[str, str | None]]:
    """(question, answer) of the file's lines; blank lines at its end are none."""
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = (line.strip() for line in file)
        for question, answer in zip_longest(lines, lines):
            if question or answer:
                yield question, answer


def _fault(question: str, answer: str | None) -> str:
    """Why a pair makes no record; '' where it does."""
    if answer is None:
        return "a question without an answer line"
    if not question:
        return "an answer without a question"
    return "" if parse_number(answer) is not None else "the answer is not one number"
