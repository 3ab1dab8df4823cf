"""Hard photographs with known truth: drawn from seeds, registered, scored, reported."""
