"""A photo's place by its lights alone: neither time nor orbit nor nadir is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, geodetic_to_ecef
from matchers.light_grid import LightGrid
from matchers.patches import groups_of
from matchers.refine import RefineParameters, jackknife_spread
from matchers.view import render_known
from regengine.lights.map import LightMap
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.photo.frame import Frame
from regengine.registration.acceptance import Verified
from regengine.registration.blind.index import EarthIndex
from regengine.registration.blind.options import TIMES_AS_LONG, BlindLimits
from regengine.registration.blind.propose_asterisms import (
    ALTITUDE_KM,
    Attempt,
    Proposal,
    fitted_to_towns,
)
from regengine.registration.blind.schedule import attempts
from regengine.registration.candidates import (
    SAME_SHARE,
    Candidate,
    CoarseView,
    Look,
    merged,
    same_view,
    unmirrored,
)
from regengine.registration.control_points import allowed_error_m, control_point, stored_pixels
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL, Scale
from regengine.registration.map_window import (
    LEAST_SAMPLE_KM,
    HasOverview,
    HasWindows,
    dense_parameters,
    footprint_window,
)
from regengine.registration.outcome import no_match_result, proposal_result, unfinished
from regengine.registration.preparation import prepare
from regengine.registration.refinement import Finalist, Solution, fine_free
from regengine.registration.register import RegisterParams, weigh
from regengine.registration.search import Proposals, Search
from regengine.registration.search_order import look_at
from regengine.registration.tracks import tracks_for
from regengine.registration.verification import CLEAR_PICTURE_LOG10_ODDS, Evidence
from regengine.result import ControlPoint, FrameResult, Reason

NOWHERE = Reason(
    code="no_agreement",
    text="nowhere on Earth do towns lie as in the photo; a blind search needs some fifteen lit "
    "places that can be told apart, and the focal length where it is known (--focal-mm)",
)
GUESSED_LENS = Reason(
    code="guessed_lens",
    text="neither orbit nor lens is known, and without some of the lights the fit moves the "
    "control points too far to be used unseen; look at the overlay, or give --focal-mm",
)
LOOSE_FIT = Reason(
    code="loose_fit",
    text="without some of the lights the fit moves the control points too far to be used unseen; "
    "look at the overlay",
)
NOT_BEYOND_CHANCE = Reason(
    code="whole_earth",
    text="of all the places on Earth that were tried, some other may fit as well by chance; time "
    "and orbit, or --bbox, would tell",
)


def register_blind(
    frame: Frame,
    light_map: LightMap,
    index: EarthIndex,
    parameters: RegisterParams,
    limits: BlindLimits,
) -> FrameResult:
    """Find out where on Earth a photo was taken.

    Parameters
    ----------
    frame : Frame
        The photo; of what is known of it only its lens counts.
    light_map : LightMap
        Night-light map.
    index : EarthIndex
        Of that map.
    parameters : RegisterParams
        User's decisions; the search may take longer than others by `options.TIMES_AS_LONG`.
    limits : BlindLimits
        What narrows it.

    Returns
    -------
    FrameResult
        As of any other search; the source of its nadir is ``lights``.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    LightMapError
        If the map cannot be read.
    """
    return blind_result(search_blind(frame, light_map, index, parameters, limits))


def blind_result(search: Search) -> FrameResult:
    """The result of a blind search that has ended; see `register_blind`."""
    frame, info = search.frame, search.light_map.info
    if search.futile is not None:
        return no_match_result(frame, None, info, search.futile)
    if search.best is None:
        return no_match_result(frame, None, info, NOWHERE, *unfinished(search))
    result = proposal_result(search)
    if result.verdict == "no_match":
        return replace(result, reasons=(NOWHERE, *result.reasons))
    if result.verdict == "accepted" and not beyond_chance(search.best.evidence):
        result = replace(result, verdict="review", reasons=(NOT_BEYOND_CHANCE,))
    return with_spread(result, search.best)


def with_spread(result: FrameResult, best: Verified) -> FrameResult:
    """A proposal with control points as sure as the lights leave them, accepted if they are."""
    loose = points_without_lights(result.control_points, best.solution, best.camera)
    if loose is not None:
        result = replace(result, control_points=loose.points)
    if result.verdict != "accepted":
        return result
    # Of the fit that was kept: one whose told lens did not fit was set free, and is as unsure
    guessed = guessed_lens(best.solution.finalist)
    most = MOST_BEYOND if guessed else MOST_BEYOND_TOLD
    if loose is None or loose.chance_beyond(best.camera) > most:
        reason = GUESSED_LENS if guessed else LOOSE_FIT
        return replace(result, verdict="review", reasons=(reason,))
    if guessed and not measured(best.camera):
        return replace(result, verdict="review", reasons=(GUESSED_LENS,))
    return result


def beyond_chance(evidence: Evidence) -> bool:
    """Whether lights alone say that it is this place of all those on Earth that were tried.

    A lead over the other cameras tells the place where there are few; here there are billions, of
    which a dozen were looked at. Towns, patches or picture must have odds above all of them.
    """
    return max(evidence.log10_odds, evidence.picture_log10_odds) >= CLEAR_PICTURE_LOG10_ODDS


SOURCE = "lights"
# A tilt between those that are tried moves the nadir as much, and the fit must be free to
SIGMA_KM = (60.0, 60.0, 25.0)
# Proposals with such odds are looked at before anything else is tried; the best wrong ones of ten
# photos had 1.6. Only the order of the work depends on it
WORTH_VERIFYING_LOG10_ODDS = 2.0
# with their rivals, against which their lead is measured
ALIGNED_AT_ONCE = 6
ALIGNED_AT_LAST = 12
# A tilt that is not quite right is made up for by the height
SPARE_KM = 25.0
# Views of the lit Earth that differ, 10 million km2 in pictures of 64 pixels of 5 km, 60 turns, 265
# tilts, 8 scales, both hands, are so many times those that one look tries; see `log10_tried`
LOOKS = 105_000


Waiting = list[tuple[Proposal, Attempt]]


def search_blind(
    frame: Frame,
    light_map: HasOverview,
    index: EarthIndex,
    parameters: RegisterParams,
    limits: BlindLimits,
) -> Search:
    """Search the whole Earth for a photo.

    Parameters
    ----------
    frame : Frame
        The photo; its time and nadir are not looked at.
    light_map : HasOverview
        The map.
    index : EarthIndex
        Made of it.
    parameters : RegisterParams
        User's decisions; the search ends after `TIMES_AS_LONG` their seconds.
    limits : BlindLimits
        What narrows the search.

    Returns
    -------
    Search
        As any other; its position is that of the best camera, or over the Gulf of Guinea where
        there is none.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    LightMapError
        If the map cannot be read.
    """
    nowhere = position_from_nadir(0.0, 0.0, ALTITUDE_KM, SOURCE, sigma_km=SIGMA_KM)
    search = prepare(frame, nowhere, light_map, parameters)
    search.looks_taken, search.covered = LOOKS, True
    if search.futile is None:
        for proposals in proposed(search, index, limits):
            weigh(search, proposals)
    if search.best is not None:
        search.position = position_of(search.best.camera)
    return search


def proposed(search: Search, index: EarthIndex, limits: BlindLimits) -> Iterator[Proposals]:
    """What the attempts propose, as far as it is worth a closer look, until something is proven."""
    waiting: Waiting = []
    seen: dict[int, Proposal] = {}
    for tried in attempts(search, index):
        found = [(p, tried) for p in tried.proposals if allowed(p, limits)]
        if tried.looked_at:
            # Odds of light and of figures do not compare: neither may crowd out the other
            closer = distinct(found)[: tried.looked_at] + waiting[: tried.looked_at]
            yield from look_closer(search, closer, seen)
        else:
            waiting = distinct(waiting + found)
            if (
                waiting
                and waiting[0][1] is tried
                and waiting[0][0].log10_odds >= WORTH_VERIFYING_LOG10_ODDS
            ):
                yield from look_closer(search, waiting[:ALIGNED_AT_ONCE], seen)
        if search.conclusive:
            return
        if search.expired(TIMES_AS_LONG):
            search.exhausted = False
            break
    yield from look_closer(search, waiting[:ALIGNED_AT_LAST], seen)


def allowed(proposal: Proposal, limits: BlindLimits) -> bool:
    """Whether a proposed camera is where it may have been."""
    low_km, high_km = limits.altitude_km
    return low_km - SPARE_KM <= position_of(proposal.camera).altitude_km <= high_km + SPARE_KM


def distinct(waiting: Waiting) -> Waiting:
    """The likeliest proposals, each view once, as many as will be aligned at last."""
    kept: Waiting = []
    for proposal, tried in sorted(waiting, key=lambda w: -w[0].log10_odds):
        if len(kept) == ALIGNED_AT_LAST:
            break
        if not any(same_view(proposal.camera, other.camera, 2.0 * SAME_SHARE) for other, _ in kept):
            kept.append((proposal, tried))
    return kept


def look_closer(search: Search, chosen: Waiting, seen: dict[int, Proposal]) -> Iterator[Proposals]:
    """Align those that were not seen before, and have the best of all verified."""
    for proposal, tried in chosen:
        if id(proposal) not in seen:
            seen[id(proposal)] = proposal
            yield Proposals(aligned(search, proposal, tried), verified="later")
    yield Proposals([], verified="now")


def position_of(camera: Camera) -> CameraPosition:
    """Where a camera is, as the position that a search starts from."""
    lon, lat, height_m = (float(value) for value in ecef_to_geodetic(camera.position_ecef_m))
    return position_from_nadir(lon, lat, height_m / 1e3, SOURCE, sigma_km=SIGMA_KM)


def aligned(search: Search, proposal: Proposal, tried: Attempt) -> list[Candidate]:
    """A proposed camera as its towns have it, and as it correlates best with the small picture.

    Towards the limb, clouds and what is missing from the map lead the correlation astray.
    """
    stored = search.stored
    camera, look = proposal.camera, look_from(proposal.camera, stored, tried, proposal.hazy)
    if proposal.pairs is not None:
        camera = fitted_to_towns(camera, proposal.pairs, look.prior)
        look = look_from(camera, stored, tried, proposal.hazy)
    parameters = dense_parameters(stored, look, position_of(camera).altitude_km)
    levels = seen_map(search.light_map, camera, parameters.template_px)
    if levels is None:
        return []
    picture = search.lights.of(look.hazy).resized(
        parameters.template_px, parameters.smooth_px, parameters.detail_px
    )
    view = CoarseView(
        stored=stored,
        picture=unmirrored(picture, look.mirrored),
        levels=levels,
        parameters=parameters,
    )
    start = [view.camera(camera)]
    moved = view.aligned(start, [look])
    if proposal.pairs is None:
        return moved
    return merged(moved, view.aligned(start, [look], iterations=0))


def look_from(camera: Camera, stored: Camera, tried: Attempt, hazy: bool) -> Look:
    """What a proposed camera amounts to as a look of the ordinary search."""
    position = position_of(camera)
    lens = Scale(
        ratio=camera.focal_px / stored.focal_px,
        sigma_log_focal=tried.sigma_log_focal,
        # A lens that had to be guessed may be that of a crop, whose axis is anywhere
        cropped=tried.sigma_log_focal > SIGMA_LOG_FOCAL,
    )
    look = look_at(
        tracks_for(position, None)[0],
        0.0,
        SIGMA_KM[0],
        stored,
        lens,
    )
    along_m, across_m, up_m = (1e3 * sigma for sigma in SIGMA_KM)
    prior = replace(look.prior, sigma_along_m=along_m, sigma_across_m=across_m, sigma_up_m=up_m)
    return replace(
        look,
        prior=prior,
        mirrored=tried.mirrored,
        hazy=hazy,
        flat=False,
        off_nadir_deg=(0.0, float(np.clip(camera.off_nadir_deg + 10.0, 0.0, 90.0))),
    )


# Alignment moves a camera by 60 km (one sigma of its place), and its sight with it
MARGIN_KM = 150.0
# Pixels of the picture that is aligned to one of the map
FINER = 1.5


def seen_map(
    light_map: HasWindows, camera: Camera, long_side_px: int
) -> tuple[LightGrid, ...] | None:
    """Map pyramid of what a proposed camera sees.

    All that could be seen from its place through a long lens, out to the horizon at the pixels of
    the map, took 1.5 GB and two seconds a camera.
    """
    _, _, height_m = ecef_to_geodetic(camera.position_ecef_m)
    field_km = float(height_m) / 1e3 / camera.focal_px * max(camera.width_px, camera.height_px)
    step_km = max(field_km / long_side_px / FINER, LEAST_SAMPLE_KM)
    return footprint_window(light_map, camera, MARGIN_KM, step_km)


# Whether control points hold: how far they move where some lights are left out tells.

# Wrong ones that are aimed at among the accepted, where the lens was guessed
MOST_BEYOND = 1e-3
# Where it was told the fit is stiffer, and what bounds its chance is too careful, by the tails of
# few refits and by points that err together: 3 and 17 times on two real photos of the limb. Chosen
# by that, so that less is left open than by a probability of 0.995, when the bounds of seven real
# photos had been seen (0.5 to 18 %, all seven right); no half of the photos was kept from it
MOST_BEYOND_TOLD = 0.02
# The frames of the training half on which refits were seen to tell how far off control points are
# were 52 degrees off nadir at most, none of them with the limb in view. Towards the limb a pixel is
# kilometres, and all lights lie along one line: there refits agree with each other and may be wrong
# together
MEASURED_OFF_NADIR_DEG = 52.0


@dataclass(frozen=True, kw_only=True)
class LooseFit:
    """Control points whose covariances hold what refits without some lights move them by.

    Attributes
    ----------
    points : tuple of ControlPoint
    refits : int
        How many told.
    """

    points: tuple[ControlPoint, ...]
    refits: int

    def chance_beyond(self, camera: Camera) -> float:
        """Probability, at most, that any point is farther off than counts as right.

        A sigma found from n refits is itself uncertain: the error over it follows Student's
        distribution with n - 1 degrees of freedom, and of two axes with the same sigma the squared
        distance Fisher's, whose tail is (1 + r^2 / (n - 1))^(-(n - 1) / 2).
        """
        freedom = self.refits - 1
        sigma_m = np.array([point.sigma_m for point in self.points])
        square = (allowed_error_m(camera) / sigma_m) ** 2
        return float(((1.0 + square / freedom) ** (-0.5 * freedom)).sum())


def guessed_lens(finalist: Finalist) -> bool:
    """Whether a focal length was tried that nothing tells of: the place is right, the fit may not.

    Tilt, height, focal length and the axis of a crop make up for each other, and for what single
    lights are off.
    """
    return finalist.candidate.look.prior.sigma_log_focal > SIGMA_LOG_FOCAL


def measured(camera: Camera) -> bool:
    """Whether the middle of a picture looks as steeply down as where refits are known to tell."""
    middle = (camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0
    sight = camera.rays(*middle).ravel() @ camera.matrix.T
    cosine = camera.nadir_ecef @ sight / np.linalg.norm(sight)
    return bool(cosine >= np.cos(np.radians(MEASURED_OFF_NADIR_DEG)))


def points_without_lights(
    points: tuple[ControlPoint, ...], solution: Solution, stored: Camera
) -> LooseFit | None:
    """Control points with what they move by where lights are left out of the fit."""
    refinement, factor = solution.refinement, solution.image.factor
    prior = solution.finalist.candidate.look.prior.for_image(factor)
    ground_ecef_m = geodetic_to_ecef([p.lon for p in points], [p.lat for p in points])
    spread = jackknife_spread(
        refinement,
        groups_of(render_known(solution.levels, refinement.rendered, 2)[0], refinement.matches),
        ground_ecef_m,
        prior,
        fine_free(prior, k1=True),
        RefineParameters().outlier_sigmas,
    )
    if spread is None:
        return None
    grown = []
    for point, more, ground in zip(points, spread.covariance_px, ground_ecef_m, strict=True):
        xx, xy, yy = point.covariance_px
        own = np.array([[xx, xy], [xy, yy]]) * factor**2
        place = (np.array([point.x, point.y]) + 0.5) * factor - 0.5
        in_stored = stored_pixels(place, own + more, 1.0 / factor)
        grown.append(control_point(stored, ground, *in_stored, point.lights))
    return LooseFit(points=tuple(grown), refits=spread.refits)
