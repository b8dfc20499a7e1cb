"""What may vary in a data set of charts: the schema of conf/data/charts_*.yaml."""

from dataclasses import dataclass
from typing import Annotated

from data_prep.schema import Choice, Of, Range, Within
from ntil.errors import UserError, did_you_mean

SPLITS = ("train", "val", "test")
# kind of picture → what may be asked about it
ASKS = {
    "bar": ("value", "largest", "difference", "total"),
    "line": ("value", "largest", "difference"),
    "pie": ("value", "largest"),
    "table": ("value", "total", "largest"),
    "ruler": ("value",),
    "gauge": ("value",),
    "rectangle": ("area", "perimeter"),
    "dots": ("count",),
}
QUESTIONS = tuple(f"{kind} {ask}" for kind, asks in ASKS.items() for ask in asks)


@dataclass(frozen=True)
class ChartsConfig:
    """One generated data set: conf/data/charts_easy.yaml and its siblings."""

    name: str
    builder: str
    seed: Annotated[int, Within(0, 2**63 - 1)]
    size: Annotated[int, Within(48, 2048, "pixels")]  # width and height of the pictures
    splits: dict[str, int]  # pictures in each
    questions: Annotated[Choice, Of(QUESTIONS)]
    items: Annotated[Range, Within(2, 8, "items")]  # bars, points, sectors, rows; whole numbers of it
    largest_value: Annotated[int, Within(5, 1000)]  # on a bar, a line or in a table
    ruler_step: Annotated[
        float, Within(0.1, 1.0, "cm")
    ]  # lengths are multiples of it, with one decimal place
    gauge_step: Annotated[float, Within(0.5, 20)]  # readings from 0 to 100 are multiples of it
    wording: str  # "short" or "natural"

    def __post_init__(self) -> None:
        if self.wording not in ("short", "natural"):
            raise UserError(f"wording must be short or natural, not {self.wording!r}.")
        for split, count in self.splits.items():
            if split not in SPLITS:
                near = did_you_mean(split, SPLITS)
                raise UserError(f"splits has no {split!r}.{near} Splits: {', '.join(SPLITS)}.")
            if not 0 <= count <= 10_000_000:
                raise UserError(f"splits.{split} = {count} is outside 0 to 10,000,000 pictures.")
