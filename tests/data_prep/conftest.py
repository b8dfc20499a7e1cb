import copy
from typing import Any

import pytest

from data_prep.configs import read


@pytest.fixture
def easy() -> dict[str, Any]:
    """clock_easy, small enough to build in a blink."""
    data = copy.deepcopy(read("clock_easy"))
    data["size"] = 32
    data["splits"] = {"train": 6, "val": 3, "test": 3, "heldout_faces": 4}
    return data
