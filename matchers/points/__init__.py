"""Points of two pictures matched by asterisms."""
