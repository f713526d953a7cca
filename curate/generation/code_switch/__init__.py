"""Switches words of one language into another within a text."""
