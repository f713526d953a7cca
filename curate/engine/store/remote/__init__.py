"""Stores behind a URL: the files of results and versions in an object store, worked on in a copy on this machine."""
