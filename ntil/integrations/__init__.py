"""The losses inside other people's training loops."""

from ntil.integrations.hf import hf_loss

__all__ = ["hf_loss"]
