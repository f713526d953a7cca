"""Language identifiers."""
