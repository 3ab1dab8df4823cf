"""What is tried where nothing tells the lens: the usual ones in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from matchers.camera import Camera
from matchers.photo_light import LightImage
from regengine.blind.attempt import Attempt, attempt
from regengine.blind.dense import propose_dense
from regengine.blind.earth_index import EarthIndex
from regengine.blind.far_tries import far_figures
from regengine.blind.lens_steps import LensPlan, lens_tries
from regengine.blind.proposals import Proposal, propose_tilted, towns_at
from regengine.blind.tilts import far_nadirs, nadirs
from regengine.camera_bodies import FULL_FRAME_MM
from regengine.hypotheses import PhotoLights
from regengine.lenses import SIGMA_LOG_FOCAL_CROPPED

# The best of all lenses together, where light is compared
LOOKED_AT = 12


def any_lens(index: EarthIndex, lights: PhotoLights, stored: Camera) -> Iterator[Attempt]:
    """Try the lenses that an unknown picture may have been taken with.

    Parameters
    ----------
    index : EarthIndex
    lights : PhotoLights
        Of the photo.
    stored : Camera
        Camera of the stored image; its focal length means nothing.

    Yields
    ------
    Attempt
    """
    for plan, steps in lens_tries(index.levels):
        image = lights.of(plan.hazy)
        if plan.mirrored:
            image = image.flipped()
        found = [
            proposal
            for focal_mm, pixel_km in steps
            for proposal in of_lens(index, image, stored, plan, focal_mm, pixel_km)
        ]
        yield attempt(
            found,
            SIGMA_LOG_FOCAL_CROPPED,
            mirrored=plan.mirrored,
            hazy=plan.hazy,
            looked_at=LOOKED_AT if plan.together else 0,
        )


def of_lens(
    index: EarthIndex,
    image: LightImage,
    stored: Camera,
    plan: LensPlan,
    focal_mm: float,
    pixel_km: float,
) -> list[Proposal]:
    """Cameras for one lens of a plan."""
    longest = max(stored.width_px, stored.height_px)
    lens = replace(stored, focal_px=focal_mm / FULL_FRAME_MM[0] * longest)
    if plan.held is None:
        ways = nadirs(plan.rings)
        if plan.way == "light":
            return propose_dense(index, pixel_km, image, lens, ways)
        towns, small = towns_at(image, lens, pixel_km)
        return propose_tilted(index, pixel_km, towns, small, lens, ways)
    ways = [
        nadir
        for off_nadir_deg, count in plan.rings
        for nadir in far_nadirs(off_nadir_deg, count, plan.held == "level")
    ]
    if plan.way == "light":
        return propose_dense(index, pixel_km, image, lens, ways)
    return far_figures(index, image, lens, pixel_km, ways)
