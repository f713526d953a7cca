"""Checks texts for refusals, boilerplate, wrong encodings, private data, prompt injection."""
