"""Sources: read files, Hub datasets and parallel text into rows."""

from curate._version import __version__ as __curate_version__

__all__ = ["__curate_version__"]
