"""From the layouts in which some families were published to ones that transformers reads without remote code."""

from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from ntil.errors import UserError
from ntil.io import atomic_folder
from ntil.models.convert.plan import Conversion, Source, check
from ntil.models.convert.recognise import convertible, read_config, recognise
from ntil.models.convert.shards import ShardWriter, stored, weight_files
from ntil.models.families import FAMILIES

__all__ = ["convert", "recognise"]

WRONG_SIZES = (
    *(StrictDataclassError, ValueError, TypeError, KeyError),
    *(AttributeError, ArithmeticError, RuntimeError),
)


def convert(source: Path, out: Path, family: str | None = None) -> str:
    """The checkpoint in `source` into the new folder `out`, whole or not at all; returns its family."""
    if not (source / "config.json").is_file():
        raise UserError(f"{source} holds no config.json; name the folder of a downloaded checkpoint.")
    if out.exists():
        raise UserError(f"{out} exists already; name a new folder.")
    published = read_config(source / "config.json")
    family = _family(source, published, family)
    conversion = _plan(source, published, family)
    for part in conversion.sources:
        check(part)
    with atomic_folder(out) as temporary:
        conversion.config.save_pretrained(temporary)
        conversion.tokenizer.save_pretrained(temporary)
        _write(conversion.sources, temporary)
    return family


def _family(source: Path, published: dict[str, Any], wanted: str | None) -> str:
    found = recognise(published)
    if found is None:
        raise UserError(
            f"{source} has model_type {published.get('model_type')!r}: it is in none of the published layouts "
            f"({', '.join(convertible().values())}). Other families, and what was converted already, load as they are."
        )
    if wanted not in (None, found):
        raise UserError(f"{source} has the published layout of {found}, not of {wanted}.")
    return found


def _plan(source: Path, published: dict[str, Any], family: str) -> Conversion:
    layout = FAMILIES[family].layout
    assert layout is not None
    try:
        plan: Conversion = layout.plan(source, published)
        return plan
    except WRONG_SIZES as error:
        raise UserError(
            f"no model of {family} can be built from the configuration in {source}: {type(error).__name__}: {error}"
        ) from error


def _write(sources: list[Source], folder: Path) -> None:
    """Convert tensor by tensor; the bar counts the bytes read."""
    files = [(source, file) for source in sources for file in weight_files(source.folder)]
    writer = ShardWriter(folder)
    columns = (
        TextColumn("converting"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=sum(file.stat().st_size for _, file in files))
        done = 0
        for source, file in files:
            for found in stored(file):
                if (part := source.parts.get(found.name)) is None:
                    continue
                tensor = found.read()
                if not tensor.is_floating_point():
                    raise UserError(
                        f"{file}: {found.name} is {tensor.dtype}; quantised weights are not converted."
                    )
                for name, value in part.convert(tensor).items():
                    writer.add(name, value)
                progress.advance(task, tensor.nbytes)
            done += file.stat().st_size
            progress.update(task, completed=done)
        writer.close()
