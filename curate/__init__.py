"""Build, query and publish multilingual SFT and preference datasets from a declarative catalog."""

from curate._version import __version__

__all__ = ["__version__"]
