"""Photos that are given by URL."""
