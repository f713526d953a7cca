"""``converse``: a simulated user talks with a model, turn by turn."""

from curate.generation.converse.step import Converse

__all__ = ["Converse"]
