"""Filters: score steps and global steps that decide which rows to keep."""

from curate._version import __version__ as __curate_version__

__all__ = ["__curate_version__"]
