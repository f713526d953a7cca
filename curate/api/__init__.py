"""The Python API: what `import curate` offers and each command calls."""
