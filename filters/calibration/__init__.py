"""Calibration of encoders: which language pairs they can judge, and from which cosine."""
