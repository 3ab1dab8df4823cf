"""Predict satellites that cross a photo of the sky, and identify its streaks."""
