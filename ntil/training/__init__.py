"""The training loop."""

from ntil.training.fit import fit

__all__ = ["fit"]
