"""Windows of real photographs held back from the fit, against the sigma told of their places.

No map-free truth is known of a real photograph to a fraction of a pixel, but each of its windows
(patches) measures where the map lies beside it. A window is held back with all that show its light;
the fit is repeated, and a sigma told of the window's place by the code that tells it of control
points. Where the window lies is that, its error, and the window's own measuring error together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from benchmarks.pages import number, table
from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.patches import groups_of
from matchers.pose import ALONG, pixel_derivatives
from matchers.refine import FEWEST_MATCHES, PARTS, Refinement, local_offsets, stated_noise
from regengine.registration.control_points import camera_covariances
from regengine.registration.evidence import Solution

STATION_M_S = 7660.0  # speed on its orbit


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """Windows that were held back, one each row; pixels of the solution's image."""

    offset_px: FloatArray  # (n, 2): photo minus where the fit without it has its place
    sigma_px: FloatArray  # (n, 2): what is told of that place and the window's own, together
    own_share: FloatArray  # (n,): of that variance which is the window's own
    # (n, 2): how far flight moves the ground over the sensor while the shutter is open; not a
    # number where the exposure is not told
    trail_px: FloatArray
    along: FloatArray  # (n, 2): offsets along that way and across it over their sigmas
    off_nadir_deg: FloatArray  # (n,): at the station, of the window's place
    agreement: FloatArray  # (n,): median correlation of the photo's windows with the map
    photo: IndexArray  # (n,): number of its photo
    light: IndexArray  # (n,): number of the light that it shows, of its photo

    def chosen(self, which: BoolArray) -> Windows:
        """Some of the windows."""
        return Windows(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


def held_back(solution: Solution, exposure_s: float | None) -> Windows:
    """Hold back the windows of a solution, a sixteenth of its lights at a time."""
    refinement = solution.refinement
    matches, rendered = refinement.matches, refinement.rendered
    lights = groups_of(solution.seen[0], matches)
    ground = rendered.pixel_to_ecef(matches.x, matches.y)
    found = np.stack([matches.x + matches.dx, matches.y + matches.dy], axis=1)
    places = np.stack([matches.x, matches.y], axis=1)
    told, own = np.full((2, len(matches), 2, 2), np.nan)
    offset = np.full((len(matches), 2), np.nan)
    for part in np.unique(lights % PARTS):
        out = lights % PARTS == part
        if (~out).sum() < FEWEST_MATCHES:
            continue
        fit = refinement.without(out)
        without = replace(solution, camera=fit.camera, refinement=fit)
        common = local_offsets(fit, places[out])
        unsure = camera_covariances(without, ground[out], without.refits)
        told[out] = unsure + common.covariance
        own[out] = stated_noise(matches.chosen(out))[0] * scatter(fit)
        seen = np.stack(fit.camera.ecef_to_pixel(ground[out]), axis=1)
        offset[out] = found[out] - seen - common.offset_px
    together = told + own
    velocity = refinement.prior.velocity_ecef
    speed = pixel_derivatives(solution.camera, velocity, ground)[..., ALONG] * STATION_M_S
    ways = speed / np.linalg.norm(speed, axis=1, keepdims=True)
    turned = np.stack([ways, np.stack([-ways[:, 1], ways[:, 0]], axis=1)], axis=1)
    sigma = np.sqrt(np.einsum("nij,njk,nik->ni", turned, together, turned))
    return Windows(
        offset_px=offset,
        sigma_px=np.sqrt(np.diagonal(together, axis1=1, axis2=2)),
        own_share=np.trace(own, axis1=1, axis2=2) / np.trace(together, axis1=1, axis2=2),
        trail_px=speed * (np.nan if exposure_s is None else exposure_s),
        along=np.einsum("nij,nj->ni", turned, offset) / sigma,
        off_nadir_deg=off_nadir_deg(ground, np.asarray(solution.camera.position_ecef_m)),
        agreement=np.full(len(matches), np.median(matches.ncc)),
        photo=np.zeros(len(matches), np.intp),
        light=lights,
    ).chosen(np.isfinite(offset[:, 0]))


def scatter(fit: Refinement) -> float:
    """Variance of the windows of a fit around it and what neighbours share, of the stated one."""
    left = fit.residual_px - local_offsets(fit).offset_px
    white = np.einsum("nij,nj->ni", stated_noise(fit.matches)[1], left)
    return (1.4826 * float(np.median(np.abs(white)))) ** 2


def off_nadir_deg(ground_ecef_m: FloatArray, station_ecef_m: FloatArray) -> FloatArray:
    """Angle at the station between a place and the middle of the Earth."""
    sight = ground_ecef_m - station_ecef_m
    cosine = -(sight @ station_ecef_m) / np.linalg.norm(sight, axis=1)
    return np.degrees(np.arccos(np.clip(cosine / np.linalg.norm(station_ecef_m), -1.0, 1.0)))


def together(all_windows: Sequence[Windows]) -> Windows:
    """Windows of several photos as one, the photos numbered."""
    numbered = [
        replace(windows, photo=np.full(len(windows.photo), k, np.intp))
        for k, windows in enumerate(all_windows)
    ]
    names = [f.name for f in fields(Windows)]
    return Windows(**{n: np.concatenate([getattr(w, n) for w in numbered]) for n in names})


HEADER = (
    *("windows", "photos", "lights", "windows held back", "within 1σ", "within 2σ"),
    *("within the window's own σ", "offset px (68 %)"),
)
READING = """\
Each window is held back with all that show its light, a twentieth of the lights at a time; σ is
what is told of its place by the fit to the others, as of a control point there, and the window's
own measuring error, which is as large as the windows that were fitted scatter. Wanted are 68 ± 5 %
within one σ, an axis; within the window's own there are fewer, by what is told of the place.
*Off-nadir* is that of the window. *Trail*: the way of the ground over the sensor while the shutter
is open, pixels of the image that was fitted. *Agreement*: the photo's median correlation with the
map in its windows, which haze, glow under clouds, trails and a map of another year lower."""
Bin = tuple[str, Callable[[Windows], BoolArray]]


def bins_of(
    name: str, figure: Callable[[Windows], FloatArray], edges: Sequence[float]
) -> Iterable[Bin]:
    """Bins of a figure: below the first edge, between edges, from the last on."""
    for low, high in zip((-np.inf, *edges), (*edges, np.inf), strict=True):
        words = f"{low:g} to {high:g}"
        if not np.isfinite(low):
            words = f"below {high:g}"
        elif not np.isfinite(high):
            words = f"{low:g} and more"

        def within(windows: Windows, low: float = low, high: float = high) -> BoolArray:
            return (figure(windows) >= low) & (figure(windows) < high)

        yield f"{name} {words}", within


def trail_length_px(windows: Windows) -> FloatArray:
    """Length of the trail of every window's lights."""
    return np.asarray(np.linalg.norm(windows.trail_px, axis=1))


BINS: tuple[Bin, ...] = (
    ("all", lambda windows: np.ones(len(windows.light), bool)),
    *bins_of("off-nadir, degrees,", lambda windows: windows.off_nadir_deg, (30.0, 55.0)),
    *bins_of("trail, px,", trail_length_px, (1.0, 3.0)),
    ("trail not told", lambda windows: np.isnan(trail_length_px(windows))),
    *bins_of("agreement", lambda windows: windows.agreement, (0.65, 0.8)),
)


def window_lines(all_windows: Sequence[Windows]) -> list[str]:
    """The table, what trails do, and how to read it; nothing without windows."""
    if not all_windows:
        return []
    windows = together(all_windows)
    rows = [[name, *cells(windows.chosen(within(windows)))] for name, within in BINS]
    return [*table(HEADER, rows, right=7), "", trail_sentence(windows), "", READING]


def cells(windows: Windows) -> list[str]:
    """One bin of the table."""
    if not len(windows.light):
        return [number(None)] * 7
    z = windows.offset_px / windows.sigma_px
    return [
        str(len(np.unique(windows.photo))),
        str(len(np.unique(np.stack([windows.photo, windows.light]), axis=1).T)),
        str(len(windows.light)),
        *(f"{share_within(z, sigmas):.0%}" for sigmas in (1.0, 2.0)),
        f"{share_within(z / np.sqrt(windows.own_share)[:, None], 1.0):.0%}",
        number(float(np.quantile(np.abs(windows.offset_px), 0.68))),
    ]


def trail_sentence(windows: Windows) -> str:
    """Whether lights that are drawn out lie beside the fit along their trails."""
    trailed = windows.chosen(trail_length_px(windows) >= 3.0)
    if not len(trailed.light):
        return "No lights are drawn out by three pixels or more."
    length = trail_length_px(trailed)
    shift = np.einsum("ni,ni->n", trailed.offset_px, trailed.trail_px) / length
    along, across = (f"{share_within(axis, 1.0):.0%}" for axis in trailed.along.T)
    return (
        f"Of lights drawn out by three pixels or more (median {np.median(length):.1f} px) the "
        f"windows lie {np.median(shift):+.2f} px along the trail from where the fit without them "
        f"has them (median); {along} are within one σ along it, {across} across."
    )


def share_within(z: FloatArray, sigmas: float) -> float:
    """Share of errors, in units of their sigma, of at most so many."""
    return float((np.abs(z) <= sigmas).mean())
