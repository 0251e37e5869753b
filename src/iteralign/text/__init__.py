"""Comparing and cleaning texts."""
