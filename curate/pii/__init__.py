"""Private data and secrets in text: where they stand, and what kind each is."""
