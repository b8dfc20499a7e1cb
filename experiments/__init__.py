"""Experiments end to end: launch → collect → tables and plots. Each is a command with --help.

python -m experiments.launch clock_demo     train every run of a preset
python -m experiments.collect               outputs/ → results/runs.csv, scores/, curves/
python -m experiments.tables                results/ → results/tables/
python -m experiments.plots                 results/ → results/figures/
"""
