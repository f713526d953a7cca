"""Preferences and judgments: which of two answers is better, who says so, and how far that can be trusted.

Candidates are rows that answer the same prompt; a judge, a reward model or a vote scores them; ``pair`` makes preference
rows of scored candidates. Nothing that is undecided becomes a row.
"""
