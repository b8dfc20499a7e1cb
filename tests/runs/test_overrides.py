"""Words of Hydra's command line taken apart."""

import pytest

from ntil.runs.overrides import parse_override


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("seed=1", "seed", "1"),
        ("+loss.sigma=0.1", "loss.sigma", "0.1"),
        ("++loss.sigma=0.1", "loss.sigma", "0.1"),
        ("~loss.sigma", "~loss.sigma", ""),
        ("query='12+34='", "query", "'12+34='"),
        ("name=", "name", ""),
        ("default", "default", ""),
    ],
)
def test_a_word_is_a_key_and_a_value(word: str, key: str, value: str) -> None:
    assert parse_override(word) == (key, value)
