"""Finds personal data and secrets in text, with kind and position."""
