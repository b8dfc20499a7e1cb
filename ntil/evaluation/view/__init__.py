"""One HTML page of a run's predictions: `python -m ntil.evaluation.view RUN`."""
