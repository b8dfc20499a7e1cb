"""Writers of shards (ntil.data.shards reads them): the same records give the same bytes."""

import io
import json
import tarfile
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from ntil.data.example import Example
from ntil.data.pictures import SUFFIXES
from ntil.data.shards.parquet import pyarrow

ROWS, BYTES = 128, 1 << 20  # of a row group of Parquet, after which the next one begins


class ShardWriter(ABC):
    """One shard that is being written."""

    ending: ClassVar[str]

    @abstractmethod
    def __init__(self, path: Path) -> None: ...

    @abstractmethod
    def add(self, number: int, example: Example, picture: bytes | None) -> None:
        """number: of the record in the set; no two have the same."""

    @abstractmethod
    def close(self) -> None: ...


class TarWriter(ShardWriter):
    ending = ".tar"

    def __init__(self, path: Path) -> None:
        self._archive = tarfile.TarFile(path, "w", format=tarfile.USTAR_FORMAT)

    def add(self, number: int, example: Example, picture: bytes | None) -> None:
        key = f"{number:09d}"
        self._member(f"{key}.json", example.to_line().encode())
        if picture is not None:
            ending = PurePosixPath(str(example.image)).suffix.lower()
            self._member(f"{key}{ending if ending in SUFFIXES else '.picture'}", picture)

    def _member(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)  # no time, no owner
        member.size = len(content)
        self._archive.addfile(member, io.BytesIO(content))

    def close(self) -> None:
        self._archive.close()


class ParquetWriter(ShardWriter):
    ending = ".parquet"

    def __init__(self, path: Path) -> None:
        arrow = pyarrow()
        texts = ("id", "split", "target", "meta", "query")
        image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
        features = {name: {"dtype": "string", "_type": "Value"} for name in texts} | {
            "image": {"_type": "Image"}
        }
        self._schema = arrow.schema(
            [*((name, arrow.string()) for name in texts), ("image", image)],
            metadata={
                "huggingface": json.dumps({"info": {"features": features}})
            },  # `datasets` shows the pictures
        )
        packed = dict.fromkeys((*texts, "image.path"), "zstd") | {"image.bytes": "none"}
        self._file = arrow.parquet.ParquetWriter(path, self._schema, compression=packed, use_dictionary=False)
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, number: int, example: Example, picture: bytes | None) -> None:
        record = example.to_record()
        texts = {name: json.dumps(record[name], ensure_ascii=False) for name in ("target", "meta")}
        image = None if picture is None else {"bytes": picture, "path": example.image}
        row = {"id": example.id, "split": example.split, "query": example.query, **texts, "image": image}
        self._rows.append(row)
        self._bytes += len(picture or b"") + sum(map(len, texts.values()))
        if len(self._rows) >= ROWS or self._bytes >= BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(pyarrow().Table.from_pylist(self._rows, self._schema))
        self._rows, self._bytes = [], 0

    def close(self) -> None:
        self._flush()
        self._file.close()


WRITERS: dict[str, type[ShardWriter]] = {"parquet": ParquetWriter, "webdataset": TarWriter}
