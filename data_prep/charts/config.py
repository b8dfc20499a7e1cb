"""What may vary in a data set of charts: the schema of conf/data/charts_*.yaml."""

from dataclasses import dataclass
from typing import Annotated

from data_prep.generated import Generated
from data_prep.schema import Choice, Of, Range, Within
from ntil.errors import UserError

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
class ChartsConfig(Generated):
    """One generated data set: conf/data/charts_easy.yaml and its siblings."""

    size: Annotated[int, Within(48, 2048, "pixels")]  # width and height of the pictures
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
        super().__post_init__()
