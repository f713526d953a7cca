"""Writes a first catalog for data files: what they are is found out from their names and their first rows."""

from curate.new.write import NewCatalog, new_catalog

__all__ = ["NewCatalog", "new_catalog"]
