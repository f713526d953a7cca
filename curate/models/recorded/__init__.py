"""The model ``recorded``: answers to requests in a file that people read and write."""
