"""The step ``translation_quality``: numbers, negation, lengths, copies, names, alignment."""
