"""Human annotation: sheets to review, labels to read back."""
