"""Cameras, the Earth, and what one shows of the other."""
