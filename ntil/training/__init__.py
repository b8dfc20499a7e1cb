"""The training loop."""

from ntil.training.checks import check_before_training
from ntil.training.divergence import count_skipped
from ntil.training.dry_run import fitting_report
from ntil.training.fit import check_settings, fit

__all__ = ["check_before_training", "check_settings", "count_skipped", "fit", "fitting_report"]
