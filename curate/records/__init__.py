"""Rows for people to read: each a record of labelled texts, written for a terminal or as HTML."""

from curate.records.html import html
from curate.records.marks import Mark, marked
from curate.records.record import Entry, Record, beside, facts, row_record, texts, value_record
from curate.records.terminal import plain

__all__ = [
    "Entry",
    "Mark",
    "Record",
    "beside",
    "facts",
    "html",
    "marked",
    "plain",
    "row_record",
    "texts",
    "value_record",
]
