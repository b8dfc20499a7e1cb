"""The training loop."""

from ntil.training.dry_run import fitting_report
from ntil.training.fit import check_settings, fit

__all__ = ["check_settings", "fit", "fitting_report"]
