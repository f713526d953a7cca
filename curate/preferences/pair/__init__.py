"""Makes preference pairs of scored answers."""
