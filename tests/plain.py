"""Rows as tests write them: without the optional parts that a row does not have."""

from curate.rows import present as plain

__all__ = ["plain"]
