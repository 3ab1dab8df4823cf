"""Define the parameters of manual points, each with its purpose, unit and origin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ClickParams:
    """How manual points are fitted, and snapped to the lights."""

    # Precision of a click on a light, and of its counterpart in a map of 0.46 km
    click_sigma_px: float = 1.5
    map_sigma_m: float = 250.0
    min_sigma_px: float = 0.5
    # Minimum redundancy (observations minus unknowns) to estimate the precision of points
    min_spare: int = 4


@dataclass(frozen=True, kw_only=True)
class CompareParams:
    """How a photo is compared with a map around a point, and where the map stands out."""

    # Patch of the photo's image: about 10 km of lights, as in the automatic fit
    patch_px: int = 31
    # Search radius around the point, and of the second search around the first match
    reaches_px: tuple[int, ...] = (16, 5)
    # Ground read around what the camera sees, and the smallest pixel of the map that is read
    margin_km: float = 25.0
    finest_deg: float = 1.0 / 240.0
    # Drawn around a patch, so that its contrast is that of the whole image
    rim_px: int = 0
    # Map pixels per image pixel, and minimum share of the patch that the map covers
    map_pixels: float = 1.2
    min_covered_share: float = 0.5
    # Minimum share of the patch that lies in the photo
    min_inside_share: float = 0.6
    # Minimum mean square of a patch of photo and map: of structure of equal local contrast
    min_structure: float = 0.0
    # Minimum correlation of a match, as for a good control point
    min_ncc: float = 0.6
    # Patches of the map that are marked: along the long side, and agreeing within so many pixels
    marks_along: int = 12
    agreeing_px: float = 3.0


COMPARED: dict[str, CompareParams] = {
    "lights": CompareParams(),
    "streets": CompareParams(
        margin_km=1.0, finest_deg=1e-4, rim_px=24, min_ncc=0.5, min_structure=0.2
    ),
    "day": CompareParams(finest_deg=1e-4, rim_px=36, min_structure=0.2),
}
