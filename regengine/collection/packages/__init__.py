"""A target's package: its best photos with all that is needed to work with them."""
