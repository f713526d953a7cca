"""Lays rows that belong together side by side and makes rows of them by templates."""
