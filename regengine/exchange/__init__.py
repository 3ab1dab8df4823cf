"""To and from other programs: exports and imports."""
