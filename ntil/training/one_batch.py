"""Whether a model has learnt one batch by heart, which it must where labels, loss and gradients are right."""

from pathlib import Path

from ntil.io import read_jsonl

LEARNT = 0.02  # of the first logged loss, at most


def overfitting_report(log: Path) -> str:
    """One sentence on the first and the last loss of train.jsonl, written by a run with `trainer.one_batch`."""
    losses = [row["loss"] for row in read_jsonl(log) if row.get("loss") is not None]
    if len(losses) < 2:
        return "overfit: nothing to compare; fewer than two losses were logged (trainer.max_steps, trainer.log_steps)."
    first, last = losses[0], losses[-1]
    went = f"the loss of the one batch went from {first:.4g} to {last:.4g}"
    if abs(last) <= LEARNT * abs(first):
        return f"overfit: yes, {went}: the model has learnt it by heart."
    return (
        f"overfit: NO, {went}, and not to {LEARNT:.0%} of the first. Look at the labels, the loss and whether every part "
        "is trained, or give it more steps (trainer.max_steps). A loss with spread targets, such as gaussian_ce, never "
        "gets there: see the scores on the same examples instead."
    )
