"""Makes word tables (bilingual lexicons) of parallel rows."""
