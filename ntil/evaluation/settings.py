"""What conf/evaluation/*.yaml holds."""

from dataclasses import dataclass
from typing import Annotated, Any

from ntil.data.task import READINGS
from ntil.errors import UserError
from ntil.evaluation.engines import ENGINES, check_engine
from ntil.settings import AtLeast, at_least, one_of

DECODINGS = ("greedy", "beam", "sample", "median", "mean")
CENTRES = ("median", "mean")


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
    decode: str = one_of(
        *DECODINGS, default="greedy"
    )  # docs/runs.md, "Decoding"; what follows has a say for the others only
    candidates: Annotated[int, AtLeast(1)] = 16  # beams, or samples, of each question
    # Of the model's distribution, that the beams must have seen; where it is less, samples are drawn.
    mass: Annotated[float, AtLeast(0)] = 0.99
    seed: Annotated[int, AtLeast(0)] = 0  # of the samples

    def __post_init__(self) -> None:
        check_engine(self.engine)
        if self.mass > 1:
            raise UserError(f"mass is a share of a distribution, from 0 to 1, not {self.mass}.")
        if self.engine == "vllm" and self.decode != "greedy":
            raise UserError(f"engine=vllm answers greedily; decode={self.decode} needs engine=hf.")

    @property
    def rows(self) -> int:
        """Answers that are written at once for a question."""
        return 1 if self.decode in ("greedy", "sample") else self.candidates

    def that_matter(self) -> dict[str, Any]:
        """Without what has no say in how questions are answered."""
        unused = {
            "greedy": ("candidates", "mass", "seed"),
            "beam": ("mass", "seed"),
            "sample": ("candidates", "mass"),
        }.get(self.decode, ())
        return {name: value for name, value in vars(self).items() if name not in unused}
