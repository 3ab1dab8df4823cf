"""Is this camera right? Its lens is fitted, and the stars that it predicts are looked for.

The odds are a product over detections, the brightest first: of a star at the predicted place with
the predicted error, against a star of the catalogue's density there by chance; where brightness is
known, times its agreement (`matchers.star_fit`). A star that the fit used counts with the place
where the fit without it would have put it. Of the triangle that proposed the camera, two members
do not count with their places; the third does against the area in which it met.

References
----------
Lang, D., Hogg, D. W., Mierle, K., Blanton, M., Roweis, S. (2010). Astrometry.net: blind
astrometric calibration of arbitrary astronomical images. AJ 139, 1782-1800, section 2.4.
Ville, J. (1939). Etude critique de la notion de collectif: the maximum of a product of likelihood
ratios exceeds L by chance with a probability of at most 1 / L.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.sky_camera import SkyCamera, solid_angle
from matchers.star_fit import (
    SLOPES,
    CameraFit,
    LensPrior,
    fit_camera,
    light_ratios,
    place_variance,
    plausible,
)

DENSITY_NEIGHBOURS = 8
FARTHEST_SIGMAS = 3.5
# Odds of the first share of detections that meet a star: one of two, as if one had met and one not
FIRST_MET, FIRST_SEEN = 1.0, 2.0
FEWEST_PAIRS = 4  # to fit attitude and focal length with something left over

# Where few stars measure their error, it is as if so many more had been off by so much
USUAL_STARS, USUAL_PX = 4.0, 0.5
ROUNDS = 8
# Log10 odds below which a proposal is given up after each round. Right ones of the real star fields
# had 2.5 and more after the first round, 8 and more after the second
HOPELESS = (0.5, 2.5, 4.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Brightness:
    """Magnitudes, where they are known.

    Attributes
    ----------
    detections : ndarray of float64, shape (n,)
        From any zero point.
    stars : ndarray of float64, shape (c,)
        Of the catalogue.
    """

    detections: FloatArray
    stars: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class StarField:
    """Detections of a picture, and the catalogue that they are held against.

    Attributes
    ----------
    x, y : ndarray of float64, shape (n,)
        Detections, pixels, the most significant first.
    vectors_icrs : ndarray of float64, shape (c, 3)
        Stars of the catalogue, the brightest first.
    brightness : Brightness or None
        Of both; without it places alone count.
    """

    x: FloatArray
    y: FloatArray
    vectors_icrs: FloatArray
    brightness: Brightness | None = None


@dataclass(frozen=True, kw_only=True)
class VerifyParameters:
    """How a camera is held against the catalogue.

    Attributes
    ----------
    detections : int
        So many of the brightest are asked.
    depths : tuple of int
        The brightest stars in the picture that are predicted: each of these numbers is tried.
    floor_px, ceiling_px : float
        Limits of the error of a detection against the fitted lens, per axis; it is measured.
    shape_tolerance : float
        Of the triangle that proposes, as a share of its length.
    prior : LensPrior
        What is believed of the lens beforehand.
    """

    detections: int = 150
    depths: tuple[int, ...] = (25, 75, 225, 700)
    floor_px: float = 0.3
    ceiling_px: float = 4.0
    shape_tolerance: float = 0.02
    prior: LensPrior = field(default_factory=LensPrior)


@dataclass(frozen=True, kw_only=True, eq=False)
class Verified:
    """A camera after its fit, and what the detections say of it."""

    fit: CameraFit  # the camera and its covariance
    log10_odds: float  # against chance, for one camera tried
    pairs: IndexArray  # (k, 2): detections and the stars that they are
    depth: int  # so many stars in the picture were predicted


def verify(
    camera: SkyCamera,
    pairs: IndexArray,
    own: IndexArray,
    field: StarField,
    parameters: VerifyParameters,
) -> Verified | None:
    """Fit a proposed camera to ever more stars, and weigh it.

    Parameters
    ----------
    pairs : ndarray of int, shape (k, 2)
        Detections and stars that the proposal brought together.
    own : ndarray of int, shape (m,)
        Detections of the figure that proposed it: they do not count.

    Returns
    -------
    Verified or None
        The best met on the way; None where too few stars were met to fit a camera.
    """
    x, y, vectors = field.x, field.y, field.vectors_icrs
    asked = min(len(x), parameters.detections)
    counts = np.ones(asked, bool)
    counts[own[own < asked]] = False
    judged = Judged(
        x=x[:asked],
        y=y[:asked],
        counts=counts,
        third=third_of_figure(x[:asked], y[:asked], counts, parameters.shape_tolerance),
        brightness=field.brightness,
    )
    sigma, best, believed = parameters.ceiling_px, None, camera
    for turn in range(ROUNDS):
        if len(pairs) < FEWEST_PAIRS:
            break
        met = vectors[pairs[:, 1]]
        fit = fit_camera(
            camera, x[pairs[:, 0]], y[pairs[:, 0]], met, sigma, parameters.prior, believed
        )
        camera = fit.camera
        if not plausible(camera, believed, parameters.prior):
            break
        sigma = measured_sigma(fit, x[pairs[:, 0]], y[pairs[:, 0]], met, parameters)
        fit = CameraFit(
            camera=camera, covariance=fit.covariance * (sigma / fit.sigma_px) ** 2, sigma_px=sigma
        )
        now = weigh(fit, pairs, judged, vectors, parameters.depths)
        same = len(now.pairs) == len(pairs) and bool((now.pairs == pairs).all())
        if best is None or now.log10_odds > best.log10_odds:
            best = now
        if same or best.log10_odds < HOPELESS[min(turn, len(HOPELESS) - 1)]:
            break
        pairs = now.pairs
    return best


def measured_sigma(
    fit: CameraFit, x: FloatArray, y: FloatArray, vectors: FloatArray, parameters: VerifyParameters
) -> float:
    """Error of detections per axis, from residuals as if each star had been left out."""
    px, py = fit.camera.project(vectors)
    seen = np.isfinite(px)
    if seen.sum() < FEWEST_PAIRS:
        return parameters.ceiling_px
    share = np.clip(place_variance(fit, vectors[seen]) / fit.sigma_px**2, 0.0, 0.9)
    off = np.hypot(x - px, y - py)[seen] / (1.0 - share) ** 0.5
    # The median of a Rayleigh distribution is 1.177 sigma; few stars say it badly
    rayleigh = float(np.median(off)) / 1.177
    sigma = np.sqrt((len(off) * rayleigh**2 + USUAL_STARS * USUAL_PX**2) / (len(off) + USUAL_STARS))
    return float(np.clip(sigma, parameters.floor_px, parameters.ceiling_px))


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """Detections that are asked, which of them count, and what `third_of_figure` says of them."""

    x: FloatArray
    y: FloatArray
    counts: BoolArray
    third: tuple[int, float] | None
    brightness: Brightness | None


def weigh(
    fit: CameraFit,
    used: IndexArray,
    judged: Judged,
    vectors_icrs: FloatArray,
    depths: tuple[int, ...],
) -> Verified:
    """Odds of a fitted camera at the catalogue depth that suits the picture best."""
    most = max(depths)
    # Where the sky is thinnest it has a third of its mean density of stars
    enough = round(3.0 * most * 4.0 * np.pi / solid_angle(fit.camera))
    predicted = predict(fit, vectors_icrs[:enough], most)
    best: Verified | None = None
    # Beyond the first depth that takes all stars there is nothing more to try
    within = [depth for depth in depths if depth < len(predicted.star)]
    for depth in depths[: len(within) + 1]:
        some = Predicted(**{name: column[:depth] for name, column in vars(predicted).items()})
        odds, pairs = odds_of(fit, some, used, judged)
        odds -= np.log10(min(len(within) + 1, len(depths)))
        if best is None or odds > best.log10_odds:
            best = Verified(fit=fit, log10_odds=float(odds), pairs=pairs, depth=len(some.star))
    assert best is not None
    return best


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """Stars that a camera has in its picture, the brightest first."""

    star: IndexArray
    x: FloatArray
    y: FloatArray
    variance_px2: FloatArray


def predict(fit: CameraFit, vectors_icrs: FloatArray, most: int) -> Predicted:
    """The brightest stars in the picture, where they should be, and how surely."""
    camera = fit.camera
    corners_x = np.array([0.0, camera.width_px - 1.0, 0.0, camera.width_px - 1.0])
    corners_y = np.array([0.0, 0.0, camera.height_px - 1.0, camera.height_px - 1.0])
    centre = camera.centre_icrs
    reach = float((camera.to_sky(corners_x, corners_y) @ centre).min())
    near = np.flatnonzero(vectors_icrs @ centre > min(reach, 0.999999))
    px, py = camera.project(vectors_icrs[near])
    inside = camera.sees(px, py)
    chosen = np.flatnonzero(inside)[:most]
    star = near[chosen]
    return Predicted(
        star=star,
        x=px[chosen],
        y=py[chosen],
        variance_px2=fit.sigma_px**2 + place_variance(fit, vectors_icrs[star]),
    )


def odds_of(
    fit: CameraFit, predicted: Predicted, used: IndexArray, judged: Judged
) -> tuple[float, IndexArray]:
    """Log10 odds of detections against predicted stars, and the pairs that speak for the camera."""
    x, y, counts = judged.x, judged.y, judged.counts
    nothing = np.zeros((0, 2), np.intp)
    if len(predicted.star) < FEWEST_PAIRS:
        return -np.inf, nothing
    places = np.column_stack([predicted.x, predicted.y])
    tree = cKDTree(places)
    widest = FARTHEST_SIGMAS * float(np.sqrt(predicted.variance_px2.max()))
    distance, near = tree.query(np.column_stack([x, y]), distance_upper_bound=widest)
    near = np.where(np.isfinite(distance), near, 0)
    variance = predicted.variance_px2[near]
    # What the fit used is judged by the place that the fit without it gives
    partner = np.full(len(x), -1, np.intp)
    inside = used[:, 0] < len(x)
    partner[used[inside, 0]] = used[inside, 1]
    in_fit = partner == predicted.star[near]
    share = np.clip((variance - fit.sigma_px**2) / fit.sigma_px**2, 0.0, 0.9)
    apart = np.where(in_fit, distance / (1.0 - share), distance)
    variance = np.where(in_fit, fit.sigma_px**2 / (1.0 - share), variance)
    close = apart < FARTHEST_SIGMAS * np.sqrt(variance)
    gauss = np.exp(-0.5 * np.where(close, apart, 0.0) ** 2 / variance) / (2.0 * np.pi * variance)
    ratio = np.where(close, gauss / local_density(fit.camera, places, tree)[near], 0.0)
    first = first_of_each(near, np.where(close, apart, np.inf))
    met = close & first & (ratio > 1.0)
    ratio = np.where(first, ratio, 0.0)
    asked = counts.astype(float)
    before = np.cumsum(met * asked) - met * asked
    tested = np.cumsum(asked) - asked
    h = (FIRST_MET + before) / (FIRST_SEEN + tested)
    pairs = np.column_stack([np.flatnonzero(met), predicted.star[near[met]]]).astype(np.intp)
    third = judged.third
    if third is not None and met[third[0]]:
        # The figure met within its tolerance; here it is asked how well
        h[third[0]], ratio[third[0]] = FIRST_MET / FIRST_SEEN, gauss[third[0]] * third[1]
        counts = counts.copy()
        counts[third[0]] = True
    ways = [np.where(counts, 1.0 - h + h * ratio, 1.0)]
    if judged.brightness is not None:
        stars = judged.brightness.stars[predicted.star]
        for slope in SLOPES:
            seen = slope * judged.brightness.detections[: len(x)]
            light = light_ratios(seen, stars[near], met, stars)
            ways.append(np.where(counts, 1.0 - h + h * ratio * light, light))
    # Each way has the same share beforehand; their mean is a fair game, too
    so_far = np.logaddexp.reduce(np.cumsum(np.log(ways), axis=1), axis=0) - np.log(len(ways))
    return float(so_far.max(initial=0.0) / np.log(10.0)), pairs


def third_of_figure(
    x: FloatArray, y: FloatArray, counts: BoolArray, shape_tolerance: float
) -> tuple[int, float] | None:
    """The member of the proposing triangle that two others do not fix, and where it might be."""
    own = np.flatnonzero(~counts)
    if len(own) != 3:
        return None
    sides = [
        np.hypot(x[a] - x[b], y[a] - y[b])
        for a, b in ((own[1], own[2]), (own[0], own[2]), (own[0], own[1]))
    ]
    longest = int(np.argmax(sides))
    reach = shape_tolerance * float(sides[longest])
    return int(own[longest]), np.pi * reach**2 * 2.0 / 3.0


def local_density(camera: SkyCamera, places: FloatArray, tree: cKDTree) -> FloatArray:
    """Predicted stars per square pixel around each: at least that of the whole picture."""
    k = min(DENSITY_NEIGHBOURS, len(places) - 1)
    distance = tree.query(places, k=k + 1)[0][:, -1]
    whole = len(places) / (camera.width_px * camera.height_px)
    return np.maximum(k / (np.pi * np.maximum(distance, 1e-3) ** 2), whole)


def first_of_each(star: IndexArray, distance: FloatArray) -> BoolArray:
    """Whether a detection is the nearest of those that claim the same star."""
    order = np.lexsort((distance, star))
    nearest = np.ones(len(star), bool)
    nearest[order[1:]] = star[order][1:] != star[order][:-1]
    return nearest
