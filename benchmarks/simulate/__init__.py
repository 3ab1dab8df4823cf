"""Simulated night photographs with known cameras, and the light maps to register them on.

Nothing here imports ``matchers``: positions come from PROJ, orbits from SGP4 and astropy, the
camera is written anew, so that a mistake in the engine cannot cancel itself in its tests.
"""
