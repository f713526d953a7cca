"""Writes text in Latin script."""
