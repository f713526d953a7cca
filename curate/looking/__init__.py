"""Rows of built versions for people to read: some of a version, all about one, those that changed between two."""

from curate.looking.changes import ChangedRows, changed_rows
from curate.looking.head import SomeRows, first_rows
from curate.looking.why import Explanation, explain_row

__all__ = ["ChangedRows", "Explanation", "SomeRows", "changed_rows", "explain_row", "first_rows"]
