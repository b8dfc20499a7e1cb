"""Models and their adapters."""

from ntil.models.adapters import Adapter
from ntil.models.load import check_model, load_model, logit_width
from ntil.models.subject import Subject

__all__ = ["Adapter", "Subject", "check_model", "load_model", "logit_width"]
