"""What conf/evaluation/*.yaml holds."""

from dataclasses import dataclass
from typing import Annotated

from ntil.data.task import READINGS
from ntil.evaluation.engines import ENGINES, check_engine
from ntil.settings import AtLeast, at_least, one_of


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Schema of the evaluation config; unknown keys are refused."""

    # Scored; null: test, or all but train and val where the set has none of that name.
    splits: list[str] | None
    optional_splits: list[str]  # scored where the data set has them
    pictures: bool  # write predictions_<split>.png
    constrained: bool = False  # only answers in the task's format can be written
    # Lenient: other formats are read, too (Task.parse_lenient).
    reading: str = one_of(*READINGS, default="strict")
    batch_size: int | None = at_least(1)  # questions at once; null: what the engine takes for the model
    limit: int | None = at_least(1)  # score the first so many of each split; null for all
    workers: Annotated[int, AtLeast(0)] = 0  # processes that decode pictures; 0: the one that answers does
    engine: str = one_of(*ENGINES, default="hf")

    def __post_init__(self) -> None:
        check_engine(self.engine)
