"""Vector search, exact and approximate."""
