"""Hands results over to other programs: one file per format, chosen frames, whole files."""
