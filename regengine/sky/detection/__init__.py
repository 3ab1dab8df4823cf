"""Lights, stars and streaks on photos."""
