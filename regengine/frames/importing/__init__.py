"""Import control points that people made in other programs."""
