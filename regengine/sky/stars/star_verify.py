"""Is this camera right? Its lens is fitted, and the stars that it predicts are looked for.

The odds are a product over detections, the brightest first: of a star at the predicted place with
the predicted error, against a star of the catalogue's density there by chance; where brightness is
known, times its agreement. A star that the fit used counts with the place
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

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.geometry.sky_camera import SkyCamera, solid_angle
from regengine.sky.stars.star_fit import (
    CameraFit,
    LensPrior,
    fit_camera,
    is_plausible,
    place_variance,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class StarField:
    """Detections of a picture, and the catalogue that they are held against.

    x, y: Detections, pixels, the most significant first, shape (n,).
    vectors_icrs: Stars of the catalogue, the brightest first, shape (c, 3).
    magnitude: Of detections, from any zero point; without it places alone count, shape (n,).
    star_magnitude: Of the catalogue, where the detections have theirs, shape (c,).
    """

    x: FloatArray
    y: FloatArray
    vectors_icrs: FloatArray
    magnitude: FloatArray | None = None
    star_magnitude: FloatArray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, kw_only=True)
class MagnitudeParams:
    """What is believed of the brightness of stars before any is met.

    sigma_mag, n_stars: One sigma of a detection's magnitude against Gaia's G (colours 0.3,
        vignetting and clipping more), which counts as so many stars beside those that measure it.
    strange_share, strange_span_mag: Variables, doubles, clipped cores: so many are of any
        brightness within a span.
    slopes: A photo whose values were taken for sRGB and are linear has magnitudes 2.2 times too far
        apart.
    """

    sigma_mag: float = 0.5
    n_stars: float = 4.0
    strange_share: float = 0.2
    strange_span_mag: float = 10.0
    slopes: tuple[float, ...] = (1.0, 1.0 / 2.2)


@dataclass(frozen=True, kw_only=True)
class VerifyParameters:
    """How a camera is held against the catalogue.

    detections: So many of the brightest are asked.
    depths: The brightest stars in the picture that are predicted: each of these numbers is tried.
    floor_px, ceiling_px: Limits of the error of a detection against the fitted lens, per axis; it
        is measured.
    sigma_px, n_stars: Where few stars measure it, it is as if so many more had been off by so much.
    shape_tolerance: Of the triangle that proposes, as a share of its length.
    min_pairs: To fit attitude and focal length with something left over.
    max_sigmas: A detection farther from a predicted star is not it.
    density_neighbours: So many stars around each say how dense they stand.
    max_rounds: Of fitting and meeting more stars.
    min_log10_odds: Below these a proposal is given up after each round. Right ones of the real star
        fields had 2.5 and more after the first round, 8 and more after the second.
    prior: What is believed of the lens beforehand.
    light: What is believed of brightness.
    """

    detections: int = 150
    depths: tuple[int, ...] = (25, 75, 225, 700)
    floor_px: float = 0.3
    ceiling_px: float = 4.0
    sigma_px: float = 0.5
    n_stars: float = 4.0
    shape_tolerance: float = 0.02
    min_pairs: int = 4
    max_sigmas: float = 3.5
    density_neighbours: int = 8
    max_rounds: int = 8
    min_log10_odds: tuple[float, ...] = (0.5, 2.5, 4.0)
    prior: LensPrior = field(default_factory=LensPrior)
    light: MagnitudeParams = field(default_factory=MagnitudeParams)


@dataclass(frozen=True, kw_only=True, eq=False)
class Verified:
    """A camera after its fit, and what the detections say of it."""

    fit: CameraFit  # the camera and its covariance
    log10_odds: float  # against chance, for one camera tried
    pairs: IndexArray  # (k, 2): detections and the stars that they are


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
    vectors, depths = field.vectors_icrs, parameters.depths
    asked = min(len(field.x), parameters.detections)
    counts = np.ones(asked, bool)
    counts[own[own < asked]] = False
    sigma, best, believed = parameters.ceiling_px, None, camera
    for turn in range(parameters.max_rounds):
        if len(pairs) < parameters.min_pairs:
            break
        x, y, met = field.x[pairs[:, 0]], field.y[pairs[:, 0]], vectors[pairs[:, 1]]
        fit = fit_camera(camera, x, y, met, sigma, parameters.prior, believed)
        camera = fit.camera
        if not is_plausible(camera, believed, parameters.prior):
            break
        # The error of detections, from residuals as if each star had been left out. The median of a
        # Rayleigh distribution is 1.177 sigma; few stars say it badly
        px, py = camera.project(met)
        seen = np.isfinite(px)
        sigma = parameters.ceiling_px
        if seen.sum() >= parameters.min_pairs:
            share = np.clip(place_variance(fit, met[seen]) / fit.sigma_px**2, 0.0, 0.9)
            off = np.hypot(x - px, y - py)[seen] / (1.0 - share) ** 0.5
            square = len(off) * (np.median(off) / 1.177) ** 2
            square += parameters.n_stars * parameters.sigma_px**2
            sigma = float(np.sqrt(square / (len(off) + parameters.n_stars)))
            sigma = min(max(sigma, parameters.floor_px), parameters.ceiling_px)
        fit = replace(fit, covariance=fit.covariance * (sigma / fit.sigma_px) ** 2, sigma_px=sigma)
        # Where the sky is thinnest it has a third of its mean density of stars
        enough = round(3.0 * max(depths) * 4.0 * np.pi / solid_angle(camera))
        star, px, py = camera.find_in_view(vectors[:enough])
        star, places = star[: max(depths)], np.column_stack([px, py])[: max(depths)]
        variance = sigma**2 + place_variance(fit, vectors[star])
        # Beyond the first depth that takes all stars there is nothing more to try
        tried = depths[: sum(depth < len(star) for depth in depths) + 1]
        ways = [
            weigh_detections(
                fit, star[:d], places[:d], variance[:d], pairs, counts, field, parameters
            )
            for d in tried
        ]
        odds, now = max(ways, key=lambda way: way[0])
        odds -= float(np.log10(len(tried)))
        if best is None or odds > best.log10_odds:
            best = Verified(fit=fit, log10_odds=odds, pairs=now)
        hopeless = parameters.min_log10_odds[: turn + 1][-1]
        if np.array_equal(now, pairs) or best.log10_odds < hopeless:
            break
        pairs = now
    return best


def weigh_detections(
    fit: CameraFit,
    star: IndexArray,
    places: FloatArray,
    variance_px2: FloatArray,
    used: IndexArray,
    counts: BoolArray,
    field: StarField,
    parameters: VerifyParameters,
) -> tuple[float, IndexArray]:
    """Log10 odds of detections against predicted stars, and the pairs that speak for the camera.

    Parameters
    ----------
    star, places, variance_px2 : ndarray, shapes (p,), (p, 2), (p,)
        Stars in the picture, the brightest first, where they should be, and how surely.
    used : ndarray of int, shape (k, 2)
        Pairs that the fit used.
    counts : ndarray of bool, shape (n,)
        The brightest detections are asked; these of them count.
    """
    if len(star) < parameters.min_pairs:
        return -np.inf, np.zeros((0, 2), np.intp)
    x, y = field.x[: len(counts)], field.y[: len(counts)]
    tree = cKDTree(places)
    widest = parameters.max_sigmas * float(np.sqrt(variance_px2.max()))
    distance, near = tree.query(np.column_stack([x, y]), distance_upper_bound=widest)
    near = np.where(np.isfinite(distance), near, 0)
    # What the fit used is judged by the place that the fit without it gives
    partner = np.full(len(x), -1, np.intp)
    inside = used[:, 0] < len(x)
    partner[used[inside, 0]] = used[inside, 1]
    in_fit = partner == star[near]
    share = np.clip(variance_px2[near] / fit.sigma_px**2 - 1.0, 0.0, 0.9)
    apart = np.where(in_fit, distance / (1.0 - share), distance)
    variance = np.where(in_fit, fit.sigma_px**2 / (1.0 - share), variance_px2[near])
    close = apart < parameters.max_sigmas * np.sqrt(variance)
    gauss = np.exp(-0.5 * np.where(close, apart, 0.0) ** 2 / variance) / (2.0 * np.pi * variance)
    # Against stars as dense as around there, at least as in the whole picture
    k = min(parameters.density_neighbours, len(star) - 1)
    reach = np.maximum(tree.query(places, k=k + 1)[0][:, -1], 1e-3)
    whole = len(star) / (fit.camera.width_px * fit.camera.height_px)
    ratio = np.where(close, gauss / np.maximum(k / (np.pi * reach**2), whole)[near], 0.0)
    # Of detections that claim the same star the nearest has it
    order = np.lexsort((np.where(close, apart, np.inf), near))
    first = np.zeros(len(x), bool)
    first[order[np.unique(near[order], return_index=True)[1]]] = True
    met = close & first & (ratio > 1.0)
    ratio = np.where(first, ratio, 0.0)
    # Laplace's rule of succession: the share of the detections before that met a star
    before = np.cumsum(met & counts) - (met & counts)
    h = (1.0 + before) / (2.0 + np.cumsum(counts) - counts)
    pairs = np.column_stack([np.flatnonzero(met), star[near[met]]]).astype(np.intp)
    own = np.flatnonzero(~counts)
    if len(own) == 3:
        # Two members of the proposing triangle fix it, the ends of its longest side do not tell the
        # third. It met within the figures' tolerance; here it is asked how well
        corners = np.column_stack([x[own], y[own]])
        sides = np.linalg.norm(np.roll(corners, -1, axis=0) - np.roll(corners, 1, axis=0), axis=1)
        third = own[np.argmax(sides)]
        if met[third]:
            area = np.pi * (parameters.shape_tolerance * sides.max()) ** 2 * 2.0 / 3.0
            h[third], ratio[third] = 0.5, gauss[third] * area
            counts = counts | (np.arange(len(x)) == third)
    ways = [np.where(counts, 1.0 - h + h * ratio, 1.0)]
    if field.magnitude is not None:
        stars = field.star_magnitude[star]
        for slope in parameters.light.slopes:
            seen = slope * field.magnitude[: len(x)]
            light = light_ratios(seen, stars[near], met, stars, parameters.light)
            ways.append(np.where(counts, 1.0 - h + h * ratio * light, light))
    # Each way has the same share beforehand; their mean is a fair game, too
    so_far = np.logaddexp.reduce(np.cumsum(np.log(ways), axis=1), axis=0) - np.log(len(ways))
    return float(so_far.max(initial=0.0) / np.log(10.0)), pairs


def light_ratios(
    magnitude: FloatArray,
    star_magnitude: FloatArray,
    met: BoolArray,
    predicted: FloatArray,
    params: MagnitudeParams,
) -> FloatArray:
    """How much likelier each met star's brightness is than that of any ``predicted`` star.

    In the order in which detections are asked, from any zero point, shape (n,); 1 where nothing was
    met, and for the first that was.
    """
    ratios = np.ones(len(magnitude))
    later = np.flatnonzero(met)[1:]
    count = np.arange(1, len(later) + 1)
    # Row by row the zero points of the stars that were met before
    zero = (star_magnitude - magnitude)[met][: len(later)]
    before = np.sort(np.where(np.tri(len(later), dtype=bool), zero, np.inf), axis=1)
    middle = 0.5 * (before[count - 1, (count - 1) // 2] + before[count - 1, count // 2])
    squares = np.tril(np.minimum((before - middle[:, None]) ** 2, 1.0)).sum(axis=1)
    spread = params.n_stars * params.sigma_mag**2 + squares
    # A median's variance is pi / 2 times that of a mean
    variance = spread / (params.n_stars + count - 1) * (1.0 + np.pi / 2.0 / count)
    seen = magnitude[later] + middle

    def chance(stars: FloatArray) -> FloatArray:
        off2 = (seen[:, None] - stars) ** 2 / variance[:, None]
        gauss = np.exp(-0.5 * off2) / np.sqrt(2.0 * np.pi * variance[:, None])
        strange = params.strange_share / params.strange_span_mag
        return np.asarray(((1.0 - params.strange_share) * gauss + strange).mean(axis=1))

    ratios[later] = chance(star_magnitude[later, None]) / chance(predicted)
    return ratios
