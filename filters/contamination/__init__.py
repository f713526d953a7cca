"""Finds benchmark items in rows."""
