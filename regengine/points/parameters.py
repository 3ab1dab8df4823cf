"""Define the parameters of manual points, each with its purpose, unit and origin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ClickParams:
    """How manual points are fitted, and snapped to the lights."""

    # Focal length over the long side: from wider than any fisheye to a lens of 1,400 mm
    focal_ratio: tuple[float, float] = (0.2, 40.0)
    # Precision of a click on a light, and of its counterpart in a map of 0.46 km
    click_sigma_px: float = 1.5
    map_sigma_m: float = 250.0
    min_sigma_px: float = 0.5
    # Minimum redundancy (observations minus unknowns) to estimate the precision of points
    min_spare: int = 4
    # Patch of the photo's light image: about 10 km, as in the automatic fit
    patch_px: int = 31
    # Search radius around the point, and of the second search around the first match
    reaches_px: tuple[int, ...] = (16, 5)
    margin_km: float = 25.0
    # Map pixels per image pixel, and minimum share of the patch that the map covers
    map_pixels: float = 1.2
    min_covered_share: float = 0.5
    # Minimum share of the patch that lies in the photo
    min_inside_share: float = 0.6
    # Minimum correlation of a match, as for a good control point
    min_ncc: float = 0.6
