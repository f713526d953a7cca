"""The step ``similarity``: cross-lingual similarity of a row and its parent or translation."""
