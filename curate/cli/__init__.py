"""The command line: each command calls the Python API and prints what it returns."""
