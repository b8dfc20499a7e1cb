"""Every record is accounted for: kept, or skipped with its reason; and no two are mixed."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ntil.data.example import MANIFEST, Example
from ntil.errors import UserError
from ntil.escape import terminal


@dataclass(frozen=True)
class Skipped:
    """One source record that did not make it: which, and why. `why` is the same for all of a kind, `what` is not."""

    what: str
    why: str


def commonest(skipped: Sequence[Skipped], most: int = 3) -> str:
    """`45: 30 × the picture is missing (such as a.jpg); 15 × …`, the commonest reasons first."""
    examples: dict[str, str] = {}
    for skip in skipped:
        examples.setdefault(skip.why, skip.what)
    ranked = Counter(skip.why for skip in skipped).most_common()
    shown = [f"{count:,} × {_short(why)} (such as {_short(examples[why])})" for why, count in ranked[:most]]
    if len(ranked) > most:
        rest = sum(count for _, count in ranked[most:])
        shown.append(f"{rest:,} for other reasons, in {MANIFEST}")
    return f"{len(skipped):,}{': ' if shown else ''}{'; '.join(shown)}"


def _short(text: str) -> str:
    return terminal(text if len(text) <= 100 else f"{text[:99]}…")


class Account:
    """Takes what was made in the order of the jobs, says of each record whether it is kept, and counts.

    Stops a build in which two records have one id, or one picture's file and other pictures. unique_across_splits: a record
    whose picture's very bytes an earlier split holds is not kept.
    """

    def __init__(self, skipped: Sequence[Skipped], unique_across_splits: bool) -> None:
        self.counts: Counter[str] = Counter()  # by split
        self._skipped = dict.fromkeys(skipped)
        self._unique = unique_across_splits
        self._ids: set[str] = set()
        self._files: dict[str, tuple[str, str, bytes]] = {}  # a plain path → first record, its path, digest
        self._first_seen: dict[
            bytes, tuple[str, str]
        ] = {}  # digest of a picture → the first record that holds it, split

    @property
    def skipped(self) -> list[Skipped]:
        return list(self._skipped)  # a picture of several records is named once

    def keep(self, made: Example | Skipped, digest: str | None) -> bool:
        """digest: sha256 of its picture, None where it has none."""
        if isinstance(made, Skipped):
            self._skipped.setdefault(made)
            return False
        self._check(made, digest)
        if digest is not None and self._unique:
            twin, split = self._first_seen.setdefault(bytes.fromhex(digest), (made.id, made.split))
            if split != made.split:
                self._skipped.setdefault(Skipped(made.id, f"the same picture as {twin}, of another split"))
                return False
        self.counts[made.split] += 1
        return True

    def _check(self, example: Example, digest: str | None) -> None:
        if example.id in self._ids:
            raise UserError(f"two records would have the id {example.id!r}; ids must tell them apart.")
        self._ids.add(example.id)
        if digest is None:
            return
        path, content = str(example.image), bytes.fromhex(digest)
        first, named, seen = self._files.setdefault(plain(path), (example.id, path, content))
        if seen != content:
            raise UserError(
                f"the records {first!r} ({named}) and {example.id!r} ({path}) would write different "
                "pictures to one file; give their sources names that differ, in more than case."
            )


def plain(name: str) -> str:
    """The same for names that some file system takes for one: of another case, or another form in Unicode."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def distinct(names: Sequence[str], same: Callable[[str], str] = str) -> list[str]:
    """The names, with -2, -3, … behind those that `same` does not tell from an earlier one."""
    wanted, given, last = {same(name) for name in names}, set(), Counter[str]()
    found = []
    for name in names:
        other, kind = name, same(name)
        while same(other) in given or (last[kind] and same(other) in wanted):
            last[kind] += 1
            other = f"{name}-{last[kind] + 1}"
        given.add(same(other))
        found.append(other)
    return found
