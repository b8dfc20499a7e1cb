"""Generation, scoring and pictures of the answers."""

from ntil.evaluation.evaluate import evaluate, score_examples, summary
from ntil.evaluation.generate import Generated, Question, generate
from ntil.evaluation.splits import is_scored_like

__all__ = ["Generated", "Question", "evaluate", "generate", "is_scored_like", "score_examples", "summary"]
