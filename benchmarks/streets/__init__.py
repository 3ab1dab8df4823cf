"""Telephoto frames of cities on street maps: simulated by two generators, and real Paris."""
