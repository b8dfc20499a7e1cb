"""What the runs say: rows, means, differences with their intervals, and the settings in which the losses meet."""
