"""Package of a target: its best photos with all data needed to work with them."""
