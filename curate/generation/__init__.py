"""Generation: steps that make rows from rows."""
