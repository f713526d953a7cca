"""The step ``quality``: refusals, boilerplate, encoding errors, private data, prompt injection."""
