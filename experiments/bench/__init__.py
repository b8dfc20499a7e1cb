"""Time and memory of the losses, in CSV rows with ratios: `python -m experiments.bench`."""
