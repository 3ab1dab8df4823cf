"""What a camera sees of the ground, in a few numbers and a small polygon."""

from __future__ import annotations

import math

import numpy as np

from matchers.camera import Camera
from matchers.footprint import WGS84
from regengine.export.footprint import Ring

Box = tuple[float, float, float, float]
# Share of a ring's extent by which a corner may be moved: polygons of 65 corners become some ten
SIMPLER = 0.004


def bounding_box(rings: list[Ring]) -> Box | None:
    """The narrowest box around rings that are cut at the antimeridian.

    Parameters
    ----------
    rings : list of list of (lon, lat)
        Of `regengine.export.footprint.footprint`.

    Returns
    -------
    tuple of float or None
        West, south, east, north in degrees; west is beyond east across the antimeridian, and -180
        to 180 around a pole. None without rings.
    """
    if not rings:
        return None
    lat = [place[1] for ring in rings for place in ring]
    spans = sorted((min(lon for lon, _ in ring), max(lon for lon, _ in ring)) for ring in rings)
    joined = [spans[0]]
    for west, east in spans[1:]:
        last_west, last_east = joined[-1]
        if west <= last_east:
            joined[-1] = (last_west, max(last_east, east))
        else:
            joined.append((west, east))
    # What lies between the stretches; the widest gap is left out of the box
    after = [*joined[1:], (joined[0][0] + 360.0, 0.0)]
    gaps = [beyond[0] - stretch[1] for stretch, beyond in zip(joined, after, strict=True)]
    widest = int(np.argmax(gaps))
    if gaps[widest] <= 0.0:
        return -180.0, min(lat), 180.0, max(lat)
    west = joined[(widest + 1) % len(joined)][0]
    return west, min(lat), joined[widest][1], max(lat)


def area_km2(rings: list[Ring]) -> float:
    """Area of rings on the WGS84 ellipsoid, square kilometres."""
    total = 0.0
    for ring in rings:
        lon, lat = zip(*ring, strict=True)
        total += abs(WGS84.polygon_area_perimeter(lon, lat)[0])
    return total / 1e6


def simpler(rings: list[Ring]) -> list[Ring]:
    """Rings with fewer corners, within 0.4 % of their extent.

    References
    ----------
    Douglas, D. & Peucker, T. (1973), Cartographica 10, 112.
    """
    from skimage.measure import approximate_polygon

    found = []
    for ring in rings:
        corners = np.array(ring)
        extent = float(np.hypot(*np.ptp(corners, axis=0)))
        fewer = approximate_polygon(corners, SIMPLER * extent)
        kept = [(float(lon), float(lat)) for lon, lat in fewer]
        found.append(kept if len(kept) >= 4 else ring)
    return found


def resolution_m(camera: Camera) -> float | None:
    """Size on the ground of the pixel in the middle of the image.

    Parameters
    ----------
    camera : Camera
        Of the photo.

    Returns
    -------
    float or None
        Side of the square of the same area, metres; None where the pixel shows the sky.
    """
    x, y = (camera.width_px - 1) / 2, (camera.height_px - 1) / 2
    ground = camera.pixel_to_ecef([x - 0.5, x + 0.5, x, x], [y, y, y - 0.5, y + 0.5])
    area = float(np.linalg.norm(np.cross(ground[1] - ground[0], ground[3] - ground[2])))
    return math.sqrt(area) if math.isfinite(area) and area > 0.0 else None
