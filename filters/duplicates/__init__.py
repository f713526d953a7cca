"""The step ``duplicates``: exact, near and semantic deduplication."""
