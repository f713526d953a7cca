"""Text: sentences, words, numbers, negation, markup, code and placeholders, each read in one place for every step.

Word lists are in ``data/``, with owner, licence and version.
"""
