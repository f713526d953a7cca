"""Finds out which language pairs an encoder can judge, and from which similarity on."""
