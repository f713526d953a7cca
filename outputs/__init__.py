"""Outputs: exports for trainers, dataset cards, reports, publications."""

from curate._version import __version__ as __curate_version__

__all__ = ["__curate_version__"]
