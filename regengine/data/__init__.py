"""The files that the package brings."""
