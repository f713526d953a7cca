"""Checks translations: numbers, negation, lengths, copies, names, alignment."""
