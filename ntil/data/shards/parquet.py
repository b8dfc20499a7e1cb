"""A Parquet file of records; a record's place is its row.

    id, split           text
    target, meta        JSON objects as text; meta may be null
    query               text, null where there is none; the column may be missing
    image               {bytes, path}: a picture's file content and its name, as `datasets` keeps images; null in text-only
                        sets, where the column may be missing

Of a row group either the pictures are read or the rest, so groups should be small: those that are written here end at 128
rows or 1 MiB.
"""

import os
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from types import ModuleType
from typing import Any

from ntil.data.files import StoredFile, stored
from ntil.data.shards.shard import Shard
from ntil.errors import UserError
from ntil.io import parse_json

CONTENT, PATH = "image.bytes", "image.path"
TEXTS = ("id", "split", "target", "meta", "query", PATH)
NEEDED = ("id", "split", "target")
MOST_GROUP = 1 << 30  # bytes of a row group, unpacked
MOST_ROWS = 1 << 20  # of a row group


def pyarrow() -> ModuleType:
    """pyarrow with its Parquet part; UserError that says how to get it."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise UserError(
            "Parquet shards are read with the package pyarrow: pip install pyarrow (it comes with datasets, too)."
        ) from None
    return pyarrow


class ParquetShard(Shard):
    def scan(self) -> Iterator[tuple[int, dict[str, Any]]]:
        with self._reading(pyarrow().ArrowException):
            rows = _opened(self.file, os.getpid())[1][-1]
        for place in range(rows):
            yield place, self.record(place)

    def record(self, place: int) -> dict[str, Any]:
        with self._reading(pyarrow().ArrowException):
            group, number = self._group(place)
            row = _texts_of(self.file, os.getpid(), group)[number]
        return self._record(row, place)

    def picture(self, place: int) -> bytes | None:
        with self._reading(pyarrow().ArrowException):
            group, number = self._group(place)
            (row,) = _group(self.file, os.getpid(), group, True).slice(number, 1).to_pylist()
        content = (row["image"] or {}).get("bytes")
        if content is None:
            raise UserError(f"{self.file.path}, row {place + 1}, has no image.bytes.")
        return bytes(content)

    def _group(self, place: int) -> tuple[int, int]:
        """The row group of a row, and its number in there."""
        starts = _opened(self.file, os.getpid())[1]
        group = bisect_right(starts, place) - 1
        return group, place - starts[group]

    def _record(self, row: dict[str, Any], place: int) -> dict[str, Any]:
        where = f"{self.file.path}, row {place + 1},"
        record = {name: row[name] for name in ("id", "split")}
        for name in ("target", "meta"):
            text = row.get(name)
            record[name] = parse_json(text, where) if isinstance(text, str) else text
        record["image"] = (row.get("image") or {}).get("path")
        if row.get("query") is not None:
            record["query"] = row["query"]
        return record


@lru_cache(maxsize=16)
def _opened(file: StoredFile, process: int) -> tuple[Any, list[int], list[str]]:
    """The open file, the first row of each row group and the end of the last, and the columns that are texts."""
    del process  # a forked one opens its own
    if stored(file.path) != file:
        raise UserError(f"{file.path} has changed while it is in use. Start the same command again.")
    opened = pyarrow().parquet.ParquetFile(file.path, pre_buffer=False)
    meta = opened.metadata
    texts = _texts(file, meta)
    groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
    for group in groups:
        if not 0 <= group.num_rows <= MOST_ROWS or not 0 <= group.total_byte_size <= MOST_GROUP:
            raise UserError(
                f"{file.path} has a row group of {group.num_rows:,} rows and {group.total_byte_size:,} bytes, of at most "
                f"{MOST_ROWS:,} and {MOST_GROUP:,}. Write it anew with smaller ones."
            )
    return opened, [0, *accumulate(group.num_rows for group in groups)], texts


def _texts(file: StoredFile, meta: Any) -> list[str]:
    """The columns of TEXTS that there are; UserError where one is missing or the pictures have another form."""
    columns = [meta.schema.column(i).path for i in range(meta.num_columns)]
    if missing := [name for name in NEEDED if name not in columns]:
        raise UserError(f"{file.path} has no column {', '.join(missing)}; it has {', '.join(columns)[:200]}.")
    images = {name for name in columns if name.split(".")[0] == "image"}
    if images not in (set(), {CONTENT, PATH}):
        raise UserError(
            f"{file.path}: the column image must hold bytes and path; it has {', '.join(sorted(images))[:200]}."
        )
    for group in range(meta.num_row_groups if images else 0):
        counted = [meta.row_group(group).column(columns.index(name)).statistics for name in (CONTENT, PATH)]
        if (
            all(c is not None and c.has_null_count for c in counted)
            and len({c.null_count for c in counted}) > 1
        ):
            raise UserError(
                f"{file.path} has rows with one of image.bytes and image.path; each picture needs both."
            )
    return [name for name in columns if name in TEXTS]


@lru_cache(maxsize=8)
def _texts_of(file: StoredFile, process: int, group: int) -> list[dict[str, Any]]:
    """The rows of a row group without their pictures."""
    rows: list[dict[str, Any]] = _group(file, process, group, False).to_pylist()
    return rows


@lru_cache(maxsize=4)
def _group(file: StoredFile, process: int, group: int, pictures: bool) -> Any:
    """The table of a row group: its pictures, or all else."""
    opened, starts, texts = _opened(file, process)
    table = opened.read_row_group(group, columns=[CONTENT] if pictures else texts, use_threads=False)
    if len(table) != starts[group + 1] - starts[group]:
        raise UserError(
            f"{file.path} has a row group of {len(table)} rows where its own index says otherwise."
        )
    return table
