"""What is tried where the limb tells the tilt: the photo drawn as a map around its nadir."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from detectors.limb import Limb
from detectors.types import FloatArray
from regengine.registration.blind.index import EarthIndex
from regengine.registration.blind.propose_asterisms import (
    LEVELLED_ALTITUDES_KM,
    Attempt,
    EarthView,
    attempt,
    propose_levelled,
)
from regengine.registration.blind.propose_dense import propose_dense
from regengine.registration.candidates import unmirrored, unmirrored_ray
from regengine.registration.lens_prior import CROP_SCALES, SIGMA_LOG_FOCAL, SIGMA_LOG_FOCAL_CROPPED
from regengine.registration.propose_limb import nadir_at_scale
from regengine.registration.search import Search

# Sizes of pixels at which towns are sought: most photos are found from the first; the finer one,
# which costs twice as much as both, finds what has few towns
COARSE_PIXELS_KM, FINE_PIXELS_KM = (5.2, 2.6), (1.3,)
# and at which light is compared, in a tenth of a second each: of nine photos of the training half
# the right place came first in seven, in one of them where no figures find it
LIGHT_PIXELS_KM = (2.6, 1.3)
LOOKED_AT = 3


def along_limb(search: Search, limb: Limb, index: EarthIndex) -> Iterator[Attempt]:
    """Try the heights and scales of a photo whose limb tells its tilt."""
    told = (1.0, SIGMA_LOG_FOCAL)
    bent = (limb.focal_ratio, SIGMA_LOG_FOCAL_CROPPED)
    crops = [(crop, SIGMA_LOG_FOCAL_CROPPED) for crop in CROP_SCALES]
    for mirrored in (False, True):
        views = LimbViews(search=search, limb=limb, index=index, mirrored=mirrored)
        yield from views.figures(*told, hazy=False, pixels_km=COARSE_PIXELS_KM)
        yield views.light(*told)
        yield from views.figures(*told, hazy=True, pixels_km=COARSE_PIXELS_KM)
        yield views.light(*bent)
        for hazy in (False, True):
            yield from views.figures(*bent, hazy, COARSE_PIXELS_KM)
        for scale, hazy in product((told, bent), (False, True)):
            yield from views.figures(*scale, hazy, FINE_PIXELS_KM)
        for scale in crops:
            yield views.light(*scale)
            for hazy in (False, True):
                yield from views.figures(*scale, hazy, COARSE_PIXELS_KM)


@dataclass(frozen=True, kw_only=True, eq=False)
class LimbViews:
    """A photo whose limb is known, to be drawn as a map at several scales."""

    search: Search
    limb: Limb
    index: EarthIndex
    mirrored: bool

    def view(self, scale: float, hazy: bool) -> tuple[EarthView, FloatArray]:
        """The picture without a mirror, its lens at a scale, and the nadir in it."""
        stored = self.search.limb_lens
        view = EarthView(
            index=self.index,
            image=unmirrored(self.search.lights.of(hazy), self.mirrored),
            lens=replace(stored, focal_px=stored.focal_px * scale),
        )
        return view, unmirrored_ray(nadir_at_scale(self.limb, scale), self.mirrored)

    def figures(
        self, scale: float, sigma: float, hazy: bool, pixels_km: tuple[float, ...]
    ) -> Iterator[Attempt]:
        """Try figures of towns, level by level."""
        view, nadir = self.view(scale, hazy)
        smooth = view.smoothed()
        for pixel_km in pixels_km:
            if pixel_km in self.index.levels:
                found = [
                    proposal
                    for altitude_km in LEVELLED_ALTITUDES_KM
                    for proposal in propose_levelled(smooth, pixel_km, nadir, altitude_km)
                ]
                yield attempt(found, sigma, mirrored=self.mirrored, hazy=hazy)

    def light(self, scale: float, sigma: float) -> Attempt:
        """Compare the light around towns, at all levels together."""
        found = []
        for hazy, pixel_km in product((False, True), LIGHT_PIXELS_KM):
            view, nadir = self.view(scale, hazy)
            if pixel_km in self.index.levels:
                found += [
                    replace(proposal, hazy=hazy)
                    for proposal in propose_dense(view, pixel_km, [nadir])
                ]
        return attempt(found, sigma, mirrored=self.mirrored, looked_at=LOOKED_AT)
