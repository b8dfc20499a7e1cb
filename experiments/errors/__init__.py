"""How far off the answers are, which of their digits are wrong, and calibration.

counts.py what a run's predictions add to results/errors/ · digits.py, magnitude.py how it is counted
analysis.py from the counts to shares by row of a table · tables.py, plots.py how they are shown
"""
