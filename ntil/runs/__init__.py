"""Run folders: one training run, its settings, its provenance and its results."""

from ntil.runs.run import Run

__all__ = ["Run"]
