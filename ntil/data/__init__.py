"""Records, tasks and batches."""
