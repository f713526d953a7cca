"""Self-consistency: votes over the final answers of several samples."""
