"""A static STAC catalogue: an item for each photo, and a collection that tells of them all."""
