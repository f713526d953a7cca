"""Models: encoders and language identifiers behind one interface, with caches by content."""
