"""What can be tuned of a person's points, a line each: what it does, its unit, where it is from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ClickParams:
    """How a person's points are fitted, and snapped to the lights."""

    # Focal length over the long side: from wider than any fisheye to a lens of 1,400 mm
    focal_ratio: tuple[float, float] = (0.2, 40.0)
    # Precision of a click on a light, and of what is taken for the same light in a map of 0.46 km
    click_sigma_px: float = 1.5
    map_sigma_m: float = 250.0
    min_sigma_px: float = 0.5
    # Observations beyond the unknowns, to tell how precise points are
    min_spare: int = 4
    # Patch of the photo's light image: about 10 km, as the engine's own
    patch_px: int = 31
    # How far the point may lie beside the match; then again from there
    reaches_px: tuple[int, ...] = (16, 5)
    margin_km: float = 25.0
    # Pixels of the map to one of the image, and share of the patch that the map must cover
    map_pixels: float = 1.2
    min_covered_share: float = 0.5
    # Share of the patch that must lie in the photo for the two to be compared
    min_inside_share: float = 0.6
    # Correlation of a match, as of a good control point
    min_ncc: float = 0.6
