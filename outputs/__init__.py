"""Outputs: what leaves the house: versions in the formats that trainers read."""

from curate._version import __version__ as __curate_version__

__all__ = ["__curate_version__"]
