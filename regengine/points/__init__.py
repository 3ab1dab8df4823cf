"""A person's points: the camera that fits them."""
