"""The training loop."""

from ntil.training.fit import check_settings, fit

__all__ = ["check_settings", "fit"]
