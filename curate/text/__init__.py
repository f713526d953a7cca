"""Text processing for all steps: sentences, words, numbers, negation, markup, code and placeholders.

Word lists are in ``data/``, with maintainer, licence and version.
"""
