"""Tables and series from public packages, or of one's own: rows to predict a number from, and windows to forecast from."""
