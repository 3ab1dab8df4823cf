"""Lights, lightning, stars and streaks on photos."""
