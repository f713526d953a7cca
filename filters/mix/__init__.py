"""Decides how many rows of each language are kept, and which."""
