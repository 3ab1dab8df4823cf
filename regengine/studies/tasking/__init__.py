"""Plan photos: places without a good frame, and the station's passes over them."""
