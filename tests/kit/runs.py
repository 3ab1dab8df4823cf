"""Runs of the program over the samples and over simulated photos."""
