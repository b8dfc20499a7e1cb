"""Generation, scoring and pictures of the answers."""

from ntil.evaluation.evaluate import evaluate, score_examples, summary
from ntil.evaluation.generate import Generated, Question, generate

__all__ = ["Generated", "Question", "evaluate", "generate", "score_examples", "summary"]
