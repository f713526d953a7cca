"""Rewrites fields of rows."""
