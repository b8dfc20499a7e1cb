"""Metrics as plain functions of values; units are in their docstrings."""
