"""Placing a photo by its lights alone: no time, no orbit, no nadir."""
