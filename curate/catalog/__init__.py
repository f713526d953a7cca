"""Catalog: the YAML grammar, parameters and their JSON Schema."""
