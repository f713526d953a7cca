"""Compares or grades answers by judge models, and audits the judges."""
