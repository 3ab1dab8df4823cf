"""One module a format, found by being there: its ``FORMAT`` says how files of it are written."""
