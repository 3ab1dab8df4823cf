"""Statistics of a run, and the report page."""
