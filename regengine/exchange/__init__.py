"""To and from other programs: exports, imports, the archive."""
