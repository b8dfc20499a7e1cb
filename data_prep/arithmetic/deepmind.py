"""DeepMind's Mathematics Dataset v1.0: text files of alternating question and answer lines.

    <raw>/train-easy|train-medium|train-hard|interpolate|extrapolate/<module>.txt

The generator writes one folder `train` in place of three with --train_split=False. Its extrapolation modules go by names of
their own: arithmetic__add_or_sub has arithmetic__add_or_sub_big, arithmetic__mixed has arithmetic__mixed_longer; some have
none. A module in the config stands for both.

Only questions whose answer is one number become records. What does not is counted for each file, with the reason, and a
module that a folder lacks is named.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from json import detect_encoding
from pathlib import Path
from typing import Annotated

from data_prep.builder import Builder
from data_prep.schema import Within
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError, did_you_mean
from ntil.numbers.text import parse_number

PARTS = ("train-easy", "train-medium", "train-hard", "train", "interpolate", "extrapolate")
HARDER = ("_big", "_longer", "_more", "_more_samples")  # ends of extrapolation modules' names
LOST = "\ufffd"  # what undecodable bytes are read as
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
        named = [folder for folders in self.parts.values() for folder in folders]
        if len(set(named)) != len(named):
            raise UserError(f"parts names a folder twice: {', '.join(sorted(named))}.")


def plan(config: DeepMindConfig) -> Plan:
    examples: list[Example] = []
    skipped: list[Skipped] = []
    folders = {folder: _files(config, folder) for names in config.parts.values() for folder in names}
    _check(config.modules, folders)
    for split, names in config.parts.items():
        for folder in names:
            for path in _chosen(config.modules, folder, folders[folder], skipped):
                _read(config, split, path, examples, skipped)
    return Plan(jobs=examples, make=Made, skipped=skipped)


def _files(config: DeepMindConfig, folder: str) -> dict[str, Path]:
    """Module → its file."""
    place = Path(config.raw) / folder
    if not place.is_dir():
        whole = place.with_name("train").is_dir() and folder.startswith("train-")
        hint = " This copy has one folder train: --set parts.train=[train]" if whole else ""
        raise UserError(f"{place} is missing.{hint} Its owners publish the data set at {HOME}")
    files = sorted(path for path in place.iterdir() if path.is_file())
    found = {path.stem: path for path in files if path.suffix.lower() == ".txt"}
    if not found:
        raise UserError(f"{place} holds no .txt files; see {HOME}")
    return found


def _check(modules: list[str], folders: dict[str, dict[str, Path]]) -> None:
    """Refuse modules of which no folder has any."""
    if modules and not any(_named(module, files) for module in modules for files in folders.values()):
        known = sorted({module for files in folders.values() for module in files})
        near = did_you_mean(modules[0], known)
        raise UserError(f"{', '.join(folders)} have none of the modules {', '.join(modules)}.{near}")


def _named(module: str, files: dict[str, Path]) -> list[Path]:
    """The files of a module: of its own name, or of an extrapolation module's."""
    return [files[module + end] for end in ("", *HARDER) if module + end in files]


def _chosen(modules: list[str], folder: str, files: dict[str, Path], skipped: list[Skipped]) -> list[Path]:
    """The files of a folder to read, each once; modules that it lacks are listed."""
    if not modules:
        return list(files.values())
    skipped += [
        Skipped(f"{folder}/{module}", "the folder has no such module, nor a harder one of its name")
        for module in modules
        if not _named(module, files)
    ]
    return list(dict.fromkeys(path for module in modules for path in _named(module, files)))


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
    """(question, answer) of the file's lines. A blank line in place of an answer is none; other blank lines are passed over."""
    with path.open("rb") as file:
        encoding = detect_encoding(file.read(4))
    question = ""
    with path.open(encoding=encoding, errors="replace") as file:
        for line in map(str.strip, file):
            if not question:
                question = line
                continue
            yield question, line or None
            question = ""
    if question:
        yield question, None


def _fault(question: str, answer: str | None) -> str:
    """Why a pair makes no record; '' where it does."""
    if answer is None:
        return "a question without an answer line"
    if LOST in question:
        return "the question holds bytes that are no text"
    return "" if parse_number(answer) is not None else "the answer is not one number"


BUILDER = Builder(
    "deepmind_mathematics",
    DeepMindConfig,
    plan,
    version=2,
    help="DeepMind's Mathematics Dataset, from its folder",
)
