"""The losses inside other people's training loops."""

from ntil.integrations.hf import NumberLossMixin, hf_loss

__all__ = ["NumberLossMixin", "hf_loss"]
