"""Sums in text: a generator, and readers of MATH-401 and of DeepMind's Mathematics Dataset."""
