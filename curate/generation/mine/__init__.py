"""Mines translation pairs in monolingual text."""
