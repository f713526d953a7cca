"""Caches of embeddings, answers and file digests, in SQLite."""
