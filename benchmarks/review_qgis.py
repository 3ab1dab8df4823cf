"""What the same job takes in QGIS's Georeferencer, counted from its manual."""

from __future__ import annotations

POINTS = 4

# (what is done, how often for one photo, clicks or keys each time). From the user manual of QGIS,
# "Georeferencer": the usual procedure, with places picked on the map canvas. Left out in its
# favour: finding the place on Earth, every zoom and pan in both windows, the target's reference
# system, the name of the output, saving the points.
STEPS: tuple[tuple[str, int, int], ...] = (
    ("Open Layer, Georeferencer", 1, 2),
    ("Open raster, and the file in the dialog", 1, 2),
    ("Click the point in the photo", POINTS, 1),
    ("Press From map canvas", POINTS, 1),
    ("Click the place on the map", POINTS, 1),
    ("Confirm the coordinates with OK", POINTS, 1),
    ("Open the transformation settings", 1, 1),
    ("Choose the transformation Projective from its list", 1, 2),
    ("Confirm the settings with OK", 1, 1),
    ("Start georeferencing", 1, 1),
)


def qgis_actions() -> int:
    """Clicks for one photo with four points, at least."""
    return sum(times * each for _, times, each in STEPS)
