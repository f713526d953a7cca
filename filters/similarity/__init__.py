"""Scores how similar a row is to its parent or the other side, across languages."""
