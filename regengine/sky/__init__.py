"""Stars, satellites and lenses, and detections on photos."""
