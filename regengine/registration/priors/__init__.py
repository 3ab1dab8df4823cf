"""What is believed of a camera before the photo's lights are asked."""
