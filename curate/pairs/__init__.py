"""What two texts that should say the same have to share, whoever asks: the steps that make translations, and those that judge them.

Numbers in all digits, marks that stay as they are, negating words, talk about the translation and usual lengths are each read in one place
here; what follows from a difference is for the step to say. The lists are data (``data/``) with owner, licence and version.
"""
