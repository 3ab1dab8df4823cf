"""Simulated registrations: hard photographs drawn from seeds, registered, scored, reported."""
