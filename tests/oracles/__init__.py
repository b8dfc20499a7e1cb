"""Slow, obvious twins of the library: plain loops written from the equations, in float64."""
