"""Words of Hydra's command line, `key=value`, taken apart."""

from typing import NamedTuple


class Override(NamedTuple):
    """key: without the + of an addition; that of a deletion begins with ~. value: "" where nothing was given."""

    key: str
    value: str


def parse_override(word: str) -> Override:
    """`+loss.sigma=0.1` → (loss.sigma, 0.1)."""
    key, _, value = word.lstrip("+").partition("=")
    return Override(key, value)
