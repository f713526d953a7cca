"""Anthropic's protocol: the Messages API."""
