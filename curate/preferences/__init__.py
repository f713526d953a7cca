"""Preferences and judgments: which of two answers is better, by whom, and how reliable that is.

Candidates are rows that answer the same prompt. A judge, a reward model or self-consistency scores them; ``pair`` makes
preference rows from scored candidates. Undecided pairs become no rows.
"""
