"""What was found, as figures."""
