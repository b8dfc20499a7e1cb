"""Train the runs of an experiment: what a preset asks for, what is there already, several runs at once."""
