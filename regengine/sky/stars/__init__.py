"""Stars: their catalogue, and photographs solved against it."""
