"""Models and their adapters."""

from ntil.models.adapters import Adapter
from ntil.models.load import load_model, logit_width

__all__ = ["Adapter", "load_model", "logit_width"]
