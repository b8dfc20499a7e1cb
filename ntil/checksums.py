"""A folder of files that says what its content is, so that damage is seen before it is used.

`seal` writes the sha256 of every file as `sha256sum` does (`sha256sum -c FILE` checks it by hand); `damage` reads them again.
"""

import os
from pathlib import Path

from ntil.errors import UserError
from ntil.io import PART, read_text, sha256, to_disk, write_text

SUMS = "SHA256SUMS"


def seal(folder: Path, name: str = SUMS) -> None:
    """Bring every file of `folder` to the disk, and then write their sums into its file `name`."""
    lines = []
    for path in _files(folder, name):
        to_disk(path)
        lines.append(f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n")
    for path in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
        to_disk(path)
    write_text(folder / name, "".join(lines))
    to_disk(folder)


def damage(folder: Path, name: str = SUMS) -> str:
    """'' where every file that `seal` saw is there with its content, else the first that is not, and why.

    A folder without sums, or with an empty file of them (from before there were any), is taken as it is.
    """
    try:
        lines = read_text(folder / name).splitlines() if (folder / name).exists() else []
        for line in lines:
            wanted, _, relative = line.partition("  ")
            path = folder / relative
            if os.path.isabs(relative) or ".." in Path(relative).parts:
                return f"{name} names a file outside ({relative[:80]!r})"
            if not path.is_file():
                return f"{_shown(relative)} is missing"
            if sha256(path) != wanted:
                return f"{_shown(relative)} has another content than was written"
    except (UserError, OSError, ValueError) as error:
        return f"{name} cannot be checked: {error}"
    return ""


def _files(folder: Path, name: str) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path != folder / name and not path.name.endswith(PART)
    )


def _shown(relative: str) -> str:
    """A name from the file of sums, without what a terminal would obey."""
    return relative if relative.isprintable() else repr(relative)
