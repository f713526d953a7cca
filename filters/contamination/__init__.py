"""The step ``contamination``: benchmark items in training rows."""
