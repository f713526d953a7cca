"""Licences: which are compatible, what may be published."""
