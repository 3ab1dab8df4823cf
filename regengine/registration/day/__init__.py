"""Frames by day placed on pictures of the Earth."""
