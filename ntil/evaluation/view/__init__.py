"""One HTML page of a run's predictions: `ntil view RUN`."""
