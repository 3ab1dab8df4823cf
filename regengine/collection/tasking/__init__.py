"""What to photograph next: places without a good frame, and when the station passes them."""
