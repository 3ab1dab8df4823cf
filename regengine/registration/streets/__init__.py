"""Telephoto frames placed on streets drawn as lamps."""
