"""Fit a camera to points that a person has matched."""
