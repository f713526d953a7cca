"""Translates fields of rows."""
