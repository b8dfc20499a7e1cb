"""Weights of a folder, one tensor at a time: read from safetensors or .bin shards, written as safetensors shards.

A .bin file is a zip with a pickle inside. It is opened by `torch.load(weights_only=True, mmap=True)` alone, which builds
tensors and plain containers and refuses everything else, and leaves the values on the disk until they are asked for.
"""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ntil.errors import UserError
from ntil.io import read_json, write_json

# What transformers calls them, in order of preference.
INDEXED = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
SHARD_BYTES = 2 * 2**30  # of a shard that is written


@dataclass(frozen=True)
class Stored:
    """One tensor of a file; `read` fetches its values."""

    name: str
    shape: tuple[int, ...]
    read: Callable[[], Tensor]


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the folder's weights, safetensors if it has both kinds."""
    found = next((name for name in INDEXED if (folder / name).is_file()), None)
    if found is None:
        raise UserError(f"{folder} holds no weights: none of {', '.join(INDEXED)}.")
    if not found.endswith(".index.json"):
        return [folder / found]
    index = read_json(folder / found)
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise UserError(f"{folder / found} has no weight_map from the weights' names to their files.")
    files = sorted(set(shards.values()))
    suffix = ".safetensors" if found.startswith("model") else ".bin"
    for name in files:
        if Path(name).name != name or not name.endswith(suffix):
            raise UserError(
                f"{folder / found} names {name!r}, which is not a {suffix} file of its own folder."
            )
        if not (folder / name).is_file():
            raise UserError(f"{folder} lacks {name}, which {found} names: the download is not complete.")
    return [folder / name for name in files]


def stored(file: Path) -> Iterator[Stored]:
    """The tensors of one file. UserError where it is cut short, or holds anything but tensors."""
    try:
        if file.suffix == ".safetensors":
            yield from _from_safetensors(file)
        else:
            yield from _from_bin(file)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{file} holds more than tensors, and is not opened: {str(error).strip().splitlines()[0]}"
        ) from None
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{file} cannot be read, perhaps it is cut short: {reason}") from None


def _from_safetensors(file: Path) -> Iterator[Stored]:
    with safe_open(file, framework="pt") as content:
        for name in content.keys():  # noqa: SIM118 - not a dictionary
            shape = tuple(content.get_slice(name).get_shape())
            yield Stored(name, shape, lambda name=name: content.get_tensor(name))  # type: ignore[misc]


def _from_bin(file: Path) -> Iterator[Stored]:
    content: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(content, dict):
        raise UserError(f"{file} holds a {type(content).__name__} instead of named tensors.")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UserError(f"{file} holds {name!r}, which is not a named tensor.")
        yield Stored(name, tuple(tensor.shape), lambda tensor=tensor: tensor)  # type: ignore[misc]


class ShardWriter:
    """Writes tensors into the shards of `folder`, with the index that transformers reads."""

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder, self.shard_bytes = folder, shard_bytes
        self._waiting: dict[str, Tensor] = {}
        self._shards: list[list[str]] = []
        self._bytes = self._total = 0

    def add(self, name: str, tensor: Tensor) -> None:
        """Keep the tensor for the next shard, after writing a shard that it would make too large."""
        if self._waiting and self._bytes + tensor.nbytes > self.shard_bytes:
            self._write()
        self._waiting[name] = tensor.contiguous()
        self._bytes += tensor.nbytes

    def close(self) -> None:
        """Write what is left, and the index: only now is it known how many shards there are."""
        self._write()
        count = len(self._shards)
        files = [f"model-{i + 1:05d}-of-{count:05d}.safetensors" for i in range(count)]
        where = {name: file for file, names in zip(files, self._shards, strict=True) for name in names}
        index = self.folder / "model.safetensors.index.json"
        write_json(index, {"metadata": {"total_size": self._total}, "weight_map": where})
        for i, file in enumerate(files):
            self._path(i).chmod(index.stat().st_mode)  # safetensors writes for the owner's eyes only
            self._path(i).rename(self.folder / file)

    def _write(self) -> None:
        save_file(self._waiting, self._path(len(self._shards)), metadata={"format": "pt"})
        self._shards.append(list(self._waiting))
        self._total += self._bytes
        self._waiting, self._bytes = {}, 0

    def _path(self, shard: int) -> Path:
        return self.folder / f"shard-{shard + 1:05d}.safetensors"
