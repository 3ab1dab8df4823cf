"""Stores of hand-made frames."""
