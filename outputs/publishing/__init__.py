"""Publishes a version to the Hub, a folder or a URL."""
