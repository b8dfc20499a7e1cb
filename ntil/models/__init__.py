"""Models and their adapters."""

from ntil.models.adapters import Adapter
from ntil.models.load import check_model, load_model, logit_width

__all__ = ["Adapter", "check_model", "load_model", "logit_width"]
