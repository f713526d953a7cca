"""Finds duplicates: exact, near, by meaning."""
