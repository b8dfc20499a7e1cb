"""Files written whole or not at all, and the JSON lines that records, logs and predictions share.

Whatever is wrong with a file (missing, unreadable, not JSON, nested without end, on a full disk) is a UserError that names it.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ntil.errors import LONGEST_NAME, UserError, refusal

try:
    import fcntl
except ImportError:  # Windows: temporaries of dead processes stay
    fcntl = None  # type: ignore[assignment]

PART = ".part"  # what names of temporaries end in
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_OF_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")  # a drive, or another machine
OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_swept: set[Path] = set()


@contextmanager
def atomic_open(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary neighbour of `path`; rename it over `path` when the block ends without an error.

    The first use in a folder removes what killed processes have left there. UserError where the disk is full, the folder
    cannot be written or the name is too long.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if (folder := path.parent.absolute()) not in _swept:
            _swept.add(folder)
            clear_leftovers(folder)
        handle, temporary = _temporary(path)
    try:
        with (
            writing(
                path, OF_WRITING
            ),  # another error inside the block is not the disk's; closing writes, too
            open(handle, mode, encoding=None if "b" in mode else "utf-8") as file,
        ):
            yield file
            with writing(path):
                file.flush()
                os.fsync(file.fileno())
                os.chmod(temporary, 0o666 & ~_umask())
                # While it is locked, so that nobody takes it for a dead process's.
                os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def writing(path: Path, codes: Sequence[int | None] | None = None) -> Iterator[None]:
    """What the system refuses becomes a UserError about `path`; `codes`: only these kinds of refusal."""
    try:
        yield
    except OSError as error:
        if codes is not None and error.errno not in codes:
            raise
        raise UserError(f"cannot write {refusal(error, path)}") from None


def _temporary(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, locked as long as it is open: what can be locked belongs to a dead process."""
    while True:
        temporary = path.with_name(_part_name(path.name))
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        lock(handle, wait=True)
        if temporary.exists():
            return handle, temporary
        os.close(handle)  # it was swept between the two lines


def _part_name(name: str) -> str:
    kept = name.encode(errors="surrogateescape")[: LONGEST_NAME - 32].decode(errors="ignore")
    return f".{kept}.{secrets.token_hex(4)}{PART}"


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, renamed to it when the block ends without an error.

    UserError where the disk refuses; an empty folder at `path` is replaced.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(_part_name(path.name))
        temporary.mkdir()
    handle = os.open(temporary, os.O_RDONLY) if fcntl is not None else None
    try:
        if handle is not None:
            lock(handle, wait=True)
        with writing(path):
            yield temporary
            temporary.rename(path)
            to_disk(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def clear_leftovers(folder: str | Path) -> list[Path]:
    """Remove the temporaries (files and folders) that processes which have died left in `folder`; returns them."""
    removed = []
    if fcntl is None:
        return []
    for path in sorted(Path(folder).glob(f".*{PART}")):
        with suppress(OSError):  # another process was faster, or it is not ours to remove
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if lock(handle):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    removed.append(path)
            finally:
                os.close(handle)
    return removed


def lock(handle: int, wait: bool = False) -> bool:
    """Lock an open file until it is closed by every process that holds it; False where another one has it.

    A file system without locks says True to a lock that is waited for, False to one that is tried.
    """
    if fcntl is None:
        return wait
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return wait
    return True


def to_disk(path: Path) -> None:
    """Bring a file, or the list of a folder's files, to the disk; what a file system cannot do is left."""
    with writing(path):
        handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    with atomic_open(path) as file:
        file.write(text)


def write_json(path: str | Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What keeps a text file from being read becomes a UserError that names it."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}. Save it as UTF-8.") from None


def read_text(path: str | Path) -> str:
    """A UTF-8 file, with or without a byte-order mark."""
    path = Path(path)
    with reading(path):
        return path.read_text(encoding="utf-8-sig")


def read_json(path: str | Path) -> Any:
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str) -> Any:
    """The value of a JSON text; UserError that says `where` it stands."""
    try:
        value = json.loads(text)
        if _HALF_PAIR.search(text):  # half a pair cannot be written to any file or page again
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is not valid JSON: {error}.") from None
    except UnicodeEncodeError:
        raise UserError(f"{where} is not valid JSON: it holds half of a surrogate pair.") from None
    except RecursionError:
        raise UserError(f"{where} is not usable: it is nested too deeply.") from None
    except ValueError:  # Python's limit on digits
        raise UserError(f"{where} is not usable: it holds a number of thousands of digits.") from None
    return value


def write_jsonl(path: str | Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write one JSON object a line; returns how many."""
    count = 0
    with atomic_open(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


def read_jsonl(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file; a bad line is named by its number."""
    for _, row in located_jsonl(path):
        yield row


def located_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(the byte at which its line starts, object) for each object of a JSON-lines file."""
    path, offset = Path(path), 0
    with reading(path), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.decode("utf-8" if offset else "utf-8-sig")
            if not text.isspace() and text:
                yield offset, json_object(text, f"{path}, line {number},")
            offset += len(line)


def json_object(text: str, where: str) -> dict[str, Any]:
    """The object of a JSON text; UserError that says `where` it stands."""
    row = parse_json(text, where)
    if not isinstance(row, dict):
        raise UserError(f"{where} expected a JSON object, found {type(row).__name__}.")
    return row


def sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(root: str | Path, relative: str) -> Path:
    """`root / relative`, refused where it would leave `root` (an absolute path, also of Windows, `..`, a symbolic link)."""
    root = Path(root).resolve()
    if "\0" in relative:
        raise UserError(f"The path {relative!r} holds a null character.")
    if _OF_WINDOWS.match(relative):
        raise UserError(f"The path {relative[:80]!r} is absolute on Windows, and leaves its folder {root}.")
    try:
        path = Path(os.path.realpath(root / relative))  # a loop of links is no error, and no file either
    except (OSError, ValueError) as error:  # too long, half a surrogate pair
        raise UserError(f"The path {relative[:80]!r} cannot be followed: {error}.") from None
    if not path.is_relative_to(root):
        raise UserError(f"The path {relative!r} leaves its folder {root}; refusing to follow it.")
    return path


def file_name(text: str, longest: int = 120, allowed: str = "") -> str:
    """A name of a file for any text, of at most `longest` bytes: itself where that is plain and short, else what is left
    of it and a hash of all of it, so that no two texts share a name. allowed: signs that are plain too.
    """
    plain = re.sub(rf"[^\w.=+{re.escape(allowed)}-]+", "_", text)
    if plain == text and len(text.encode()) <= longest and text and not text.startswith("."):
        return text
    mark = f"-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:12]}"
    return plain.lstrip(".").encode()[: longest - len(mark)].decode(errors="ignore") + mark
