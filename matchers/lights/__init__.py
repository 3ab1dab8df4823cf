"""Light of a photo matched with a map's."""
