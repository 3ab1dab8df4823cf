"""Streaks as Farzaneh et al. 2021 find them: seven ways to cluster pixels, one pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.psf import FWHM_PER_SIGMA, cut_stamps, find_nearest_pixels
from detectors.stars_sift import find_keypoints
from detectors.streak_frame import StreakFrame
from detectors.streak_line import Line, fit_line, log10_false_alarm, prepare_binned
from detectors.streaks_radon import describe_lines, join_line, rough_lines
from detectors.types import BoolImage, FloatArray, FloatImage, StreakDetections

# Which pixels belong to the streak, of their features, shape (..., d)
Judge = Callable[[FloatImage | FloatArray], BoolImage]
Clustering = Callable[[FloatArray, np.random.Generator], Judge]
Minimum = Callable[[FloatArray, np.random.Generator], FloatArray]

# Grey levels reach from -8 to 56 sigma: 64 sigma are 256 levels of 8 bits
DARKEST_SIGMA, BRIGHTEST_SIGMA = -8.0, 56.0


def diffuse_once(image: FloatImage, edge: float, step: float) -> FloatImage:
    """One explicit step of I' = div(g grad I) with g = exp(-(|grad(G * I)| / edge)^2).

    Eight neighbours: light flows from pixel to pixel by the mean of the two pixels' g, diagonally
    half as much. Without loops over neighbours: with the binomial 3 x 3 mean B, the sum of the
    flows is 4 (g B(I) + B(g I) - I B(g) - g I). Nothing flows across the border.

    References
    ----------
    Perona, P., Malik, J. (1990). Scale-space and edge detection using anisotropic diffusion.
    IEEE PAMI 12, 629-639. Catte, F., et al. (1992). Image selective smoothing and edge detection
    by nonlinear diffusion. SIAM J. Numer. Anal. 29, 182-193 (the blurred gradient).
    Gerig, G., et al. (1992). Nonlinear anisotropic filtering of MRI data. IEEE TMI 11, 221-232.
    """

    def mean(some: FloatImage) -> FloatImage:
        return np.asarray(cv2.GaussianBlur(some, (3, 3), 0, borderType=cv2.BORDER_REPLICATE))

    blurred = cv2.GaussianBlur(image, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    slope_x = cv2.Sobel(blurred, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    slope_y = cv2.Sobel(blurred, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    g = np.exp((np.square(slope_x) + np.square(slope_y)) * np.float32(-1.0 / edge**2))
    flow = g * mean(image) + mean(g * image) - image * mean(g) - g * image
    return np.asarray(image + np.float32(4.0 * step) * flow)


def choose_iterations(grey: FloatImage, rng: np.random.Generator) -> int:
    """The number of iterations with the largest SSIM against an independent view of the scene.

    Against the noisy image itself SSIM is largest without any diffusion. So noise n of the
    image's own sigma is added and taken away: I + 0.7 n and I - n / 0.7 show one scene with
    independent noise (where that is normal). The first is diffused and compared with the second,
    as long as SSIM grows; at most 100 times, the paper's number. Looked at is the brightest window
    of 384 px.

    References
    ----------
    Oliveira, N. L., Lei, J., Tibshirani, R. J. (2021). Unbiased risk estimation in the normal means
    problem via coupled bootstrap techniques. arXiv:2111.09447.
    Wang, Z., et al. (2004). Image quality assessment: from error visibility to structural
    similarity. IEEE TIP 13, 600-612.
    """
    from skimage.metrics import structural_similarity

    (h, w), side = grey.shape, 384
    tops = range(0, max(1, h - side + 1), side // 2)
    lefts = range(0, max(1, w - side + 1), side // 2)
    windows = [grey[top : top + side, left : left + side] for top in tops for left in lefts]
    part = max(windows, key=lambda some: float(np.maximum(some, 0.0).sum()))
    added = rng.standard_normal(part.shape, np.float32)
    view, reference = part + np.float32(0.7) * added, part - np.float32(1.0 / 0.7) * added
    # Slopes four times that of the noise are edges, which diffusion spares
    edge = 4.0 * ((1.0 + 0.7**2) ** 0.5 / (2.0 * np.pi**0.5))
    before = -1.0
    for iteration in range(101):
        now = structural_similarity(
            view,
            reference,
            data_range=BRIGHTEST_SIGMA - DARKEST_SIGMA,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        # A smaller gain is the plateau, of which the beginning is used
        if now < before + 2e-4:
            return iteration - 1
        # A step of time that is stable for eight neighbours (Gerig et al. 1992)
        view, before = diffuse_once(view, edge, 1.0 / 7.0), float(now)
    return 100


def mask_stars(grey: FloatImage) -> BoolImage:
    """Pixels of stars: discs about SIFT's key-points that grow until the ring outside is dark.

    A ring's level is its median: a streak that crosses it does not light it. Key-points around
    which the lit pixels lie along one direction are parts of streaks. `grey` (h, w): denoised
    light above the sky, in units of its noise.
    """
    # Levels so that stars of half a sigma and of 56 count both
    stretched = 32.0 + 24.0 * np.arcsinh(grey / np.float32(0.5))
    levels = np.clip(np.rint(stretched), 0, 255).astype(np.uint8)
    x, y, _ = find_keypoints(
        levels,
        # The paper's layers, ratio of curvatures and blur, as far as its table can be read
        layers=4,
        contrast=0.04,
        edge_ratio=10.0,
        sigma=1.55,
    )[:, :3000]
    half = 25  # of 24 px are the largest stars
    stamps = cut_stamps(grey, *find_nearest_pixels(grey.shape, x, y), half)
    offsets = np.arange(-half, half + 1)
    distance = np.hypot(offsets[:, None], offsets)
    # A ring below 0.3 sigma of the sky is dark, or below twice the noise that diffusion left
    low, high = np.quantile(grey.ravel()[:: max(1, grey.size // 50_000)], (0.16, 0.84))
    dark = max(0.3, float(high - low))
    # Mean vector of the doubled angles of lit pixels: of a streak 0.5 and more. They count from a
    # quarter of the middle's light on, and fewer than 25 of them are no arm of a streak
    around = (distance >= 5.0) & (distance <= 12.0)
    doubled = np.exp(2j * np.arctan2(offsets[:, None], offsets))[around]
    middle = stamps[:, half - 1 : half + 2, half - 1 : half + 2].max(axis=(1, 2))
    lit = stamps[:, around] > np.maximum(0.25 * middle, dark)[:, None]
    is_star = np.abs(lit @ doubled) < 0.5 * np.maximum(lit.sum(axis=1), 25)
    covered = np.zeros(grey.shape, np.uint8)
    rings = [np.rint(distance) == radius for radius in range(half + 1)]
    for at_x, at_y, stamp in zip(x[is_star], y[is_star], stamps[is_star], strict=True):
        reach = next((r for r, one in enumerate(rings) if np.median(stamp[one]) < dark), half)
        if reach > 0:
            radius = np.clip(reach - 0.5, 1.5, 24.0) + 1.0
            centre = (round(16.0 * float(at_x)), round(16.0 * float(at_y)))
            cv2.circle(covered, centre, round(16.0 * float(radius)), 1, cv2.FILLED, shift=4)
    return np.asarray(covered > 0)


@cache
def make_line_kernels() -> tuple[FloatImage, ...]:
    """Twelve lines of 11 px through the middle, less those 3 px beside them; each of sum 0."""
    offsets = np.arange(-5, 6)
    within = np.hypot(offsets[None, :], offsets[:, None]) <= 5.5
    kernels = []
    for angle in np.pi * np.arange(12) / 12:
        across = np.abs(offsets[None, :] * np.sin(angle) - offsets[:, None] * np.cos(angle))
        line = np.maximum(1.0 - across, 0.0) * within
        beside = np.maximum(1.0 - np.abs(across - 3.0), 0.0) * within
        kernels.append((line / line.sum() - beside / beside.sum()).astype(np.float32))
    return tuple(kernels)


def measure_pixel_features(grey: FloatImage, usable: BoolImage) -> FloatImage:
    """Brightness and line response of every pixel, each over the sky's scatter, shape (h, w, 2).

    The line response is the greatest mean along a short line through the pixel, less that on either
    side, on pixels twice as large: a pixel beside a streak does not respond to it by a line that
    crosses it. At most 12; 0 where pixels are not usable.
    """
    h, w = grey.shape
    grey = np.where(usable, grey, np.float32(0.0))
    small = cv2.resize(grey, (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_AREA)
    response = np.max([cv2.filter2D(small, cv2.CV_32F, one) for one in make_line_kernels()], axis=0)
    features = np.zeros((h, w, 2), np.float32)
    for number, image in enumerate((grey, cv2.resize(response, (w, h)))):
        values = image[usable]
        low, middle = np.quantile(values[:: max(1, values.size // 100_000)], (0.1587, 0.5))
        scatter = max(float(middle - low), 1e-3)  # of the dark side, where no light is
        features[usable, number] = np.minimum((values - middle) / scatter, 12.0)
    return features


def assign_nearest(centres: FloatArray) -> Judge:
    """Each pixel belongs to the nearer of two centres, (2, d); the brighter is the streak's."""
    dark, light = centres[np.argsort(centres.sum(axis=1), kind="stable")]
    across, half_way = light - dark, 0.5 * float((light + dark) @ (light - dark))
    return lambda features: np.asarray(features @ across.astype(features.dtype) > half_way)


def fit_kmeans(
    sample: FloatArray, rng: np.random.Generator, start: FloatArray | None = None
) -> Judge:
    """Lloyd's algorithm from k-means++ or from given centres of shape (2, d)."""
    from sklearn.cluster import KMeans

    means = KMeans(
        n_clusters=2,
        init="k-means++" if start is None else start,
        n_init=3 if start is None else 1,
        random_state=int(rng.integers(2**31)),
    )
    return assign_nearest(means.fit(sample).cluster_centers_)


def fit_gmm(sample: FloatArray, rng: np.random.Generator) -> Judge:
    """Expectation maximisation of two normal distributions with full covariances.

    What is darker than the background is not of the streak.
    """
    from sklearn.mixture import GaussianMixture

    some = sample[rng.permutation(len(sample))[:4000]]
    mixture = GaussianMixture(2, random_state=int(rng.integers(2**31)), reg_covar=1e-3).fit(some)
    background, streak = np.argsort(mixture.means_.sum(axis=1), kind="stable")
    across = mixture.means_[streak] - mixture.means_[background]

    def judge(features: FloatImage | FloatArray) -> BoolImage:
        lit = np.asarray((features - mixture.means_[background]) @ across > 0.0)
        if lit.any():
            lit[lit] = mixture.predict(features[lit]) == streak
        return lit

    return judge


def measure_quantisation_error(sample: FloatArray, pairs: FloatArray) -> FloatArray:
    """Mean squared distance of pixels to the nearer of two centres, for pairs of shape (n, 2 d)."""
    centres = pairs.reshape(len(pairs), 2, -1)
    squares = np.square(centres).sum(axis=2)[:, :, None] - 2.0 * centres @ sample.T
    return np.asarray(squares.min(axis=1).mean(axis=1) + np.square(sample).sum(axis=1).mean())


def find_by_swarm(sample: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Best place that a swarm of 7 comes across in 4 iterations (both the paper's).

    v' = v + c1 r1 (p - x) + c2 r2 (g - x), x' = x + v', with p each particle's own best place and
    g that of all; r1 and r2 uniform in 0 to 1, per coordinate; c1 = c2 = 2.

    References
    ----------
    Kennedy, J., Eberhart, R. (1995). Particle swarm optimization. Proc. ICNN 4, 1942-1948.
    """
    low, high = np.tile(sample.min(axis=0), 2), np.tile(sample.max(axis=0), 2)
    place = sample[rng.integers(0, len(sample), (7, 2))].reshape(7, -1)
    velocity = np.zeros_like(place)
    best, best_cost = place.copy(), measure_quantisation_error(sample, place)
    for _ in range(4):
        own, common = rng.random((2, *place.shape))
        leader = best[int(np.argmin(best_cost))]
        velocity += 2.0 * own * (best - place) + 2.0 * common * (leader - place)
        velocity = np.clip(velocity, -0.5 * (high - low), 0.5 * (high - low))
        place = np.clip(place + velocity, low, high)
        cost = measure_quantisation_error(sample, place)
        better = cost < best_cost
        best[better], best_cost[better] = place[better], cost[better]
    return np.asarray(best[int(np.argmin(best_cost))])


def find_by_genes(sample: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Best of 49 individuals after 5 generations (both the paper's).

    Parents are the better of two drawn at random. A child lies, per coordinate, at random between
    its parents or up to a quarter of their distance outside. A tenth of the coordinates is mutated
    by normal deviates that shrink from generation to generation. The best individual lives on.

    References
    ----------
    Goldberg, D. E. (1989). Genetic Algorithms in Search, Optimization and Machine Learning.
    Eshelman, L. J., Schaffer, J. D. (1993). Real-coded genetic algorithms and interval-schemata.
    FOGA 2, 187-202 (the blend of parents).
    """
    low, high = np.tile(sample.min(axis=0), 2), np.tile(sample.max(axis=0), 2)
    people = sample[rng.integers(0, len(sample), (49, 2))].reshape(49, -1)
    costs = measure_quantisation_error(sample, people)
    for generation in range(5):
        drawn = rng.integers(0, 49, (2, 2, 49))
        mother, father = people[np.where(costs[drawn[0]] <= costs[drawn[1]], drawn[0], drawn[1])]
        children = mother + rng.uniform(-0.25, 1.25, people.shape) * (father - mother)
        mutation = 0.1 * (1.0 - generation / 5.0) * rng.standard_normal(people.shape)
        children += (rng.random(people.shape) < 0.1) * mutation * (high - low)
        children[0] = people[int(np.argmin(costs))]
        people = np.clip(children, low, high)
        costs = measure_quantisation_error(sample, people)
    return np.asarray(people[int(np.argmin(costs))])


def by_centres(minimum: Minimum) -> Clustering:
    """Two centres of least mean squared distance, judged on 2,000 pixels: good to 3 %."""

    def fit(sample: FloatArray, rng: np.random.Generator) -> Judge:
        few = sample[rng.permutation(len(sample))[:2000]]
        return assign_nearest(minimum(few, rng).reshape(2, -1))

    return fit


def seed_kmeans(first: Clustering) -> Clustering:
    """K-means that starts from the clusters that another method finds."""

    def fit(sample: FloatArray, rng: np.random.Generator) -> Judge:
        lit = first(sample, rng)(sample)
        if lit.all() or not lit.any():
            return fit_kmeans(sample, rng)
        return fit_kmeans(
            sample, rng, np.stack([sample[~lit].mean(axis=0), sample[lit].mean(axis=0)])
        )

    return fit


FIT_PSO, FIT_GA = by_centres(find_by_swarm), by_centres(find_by_genes)
CLUSTERINGS: Mapping[str, Clustering] = {
    "paper-ga": FIT_GA,
    "paper-ga-kmeans": seed_kmeans(FIT_GA),
    "paper-gmm": fit_gmm,
    "paper-gmm-kmeans": seed_kmeans(fit_gmm),
    "paper-kmeans": fit_kmeans,
    "paper-pso": FIT_PSO,
    "paper-pso-kmeans": seed_kmeans(FIT_PSO),
}


def find_cores(streak: BoolImage, grey: FloatImage, quantile: float) -> BoolImage:
    """Pixels half as bright as that quantile of their connected part: halos are left out."""
    from scipy.ndimage import find_objects, label

    labels, _ = label(streak, np.ones((3, 3)))
    cores = np.zeros_like(streak)
    for number, window in enumerate(find_objects(labels), 1):
        part = labels[window] == number
        if np.count_nonzero(part) >= 15:  # smaller parts are noise
            least = 0.5 * np.quantile(grey[window][part], quantile)
            cores[window] |= part & (grey[window] >= least)
    return cores


@dataclass(frozen=True, kw_only=True)
class Paper:
    """The pipeline with one of the clusterings; ``docs/methods/streaks-paper.md`` has the steps."""

    name: str  # one of `CLUSTERINGS`
    seed: int = 0  # of everything that is drawn at random

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StreakDetections:
        """Find the streaks of an image; see `detectors.types.Detector`."""
        frame = StreakFrame.of(light, mask, saturated)
        if frame is None:
            return StreakDetections.empty()
        rng = np.random.default_rng(self.seed)
        # Clipped areas wider than 25 px are no streak, nor is their rim: the Moon, dawn, a lamp
        wide = cv2.erode(frame.clipped.astype(np.uint8), np.ones((25, 25), np.uint8))
        ignored = frame.ignored | (cv2.dilate(wide, np.ones((49, 49), np.uint8)) > 0)
        grey = np.clip(frame.residual, DARKEST_SIGMA, BRIGHTEST_SIGMA)
        grey[ignored] = 0.0
        for _ in range(choose_iterations(grey, rng)):
            # The edge is four times the rms gradient of white noise of unit sigma, blurred by 1 px
            grey = diffuse_once(grey, 2.0 * np.pi**-0.5, 1.0 / 7.0)
        # The image less its running median over 41 px, so that clouds do not count as light
        levels = np.clip(np.rint((grey - np.float32(DARKEST_SIGMA)) * 8.0), 0, 255).astype(np.uint8)
        median = cv2.blur(cv2.medianBlur(levels, 41).astype(np.float32), (20, 20))
        grey = np.asarray(grey - (median / np.float32(8.0) + np.float32(DARKEST_SIGMA)))
        grey[ignored] = 0.0
        usable = ~(ignored | mask_stars(grey))
        # Of fewer no clusters are made
        if np.count_nonzero(usable) < 100:
            return StreakDetections.empty()
        features = measure_pixel_features(grey, usable)
        # Half of the sample are bright pixels: streaks are a thousandth of the pixels, and the best
        # two clusters of all would cut the noise in halves
        every = features[usable]
        count = min(10_000, len(every))
        chosen = rng.integers(0, len(every), count)
        bright = np.flatnonzero(every.max(axis=1) >= 4.0)
        if bright.size:
            chosen[: count // 2] = bright[rng.integers(0, bright.size, count // 2)]
        sample = np.asarray(every[chosen], float)
        with warnings.catch_warnings():  # all pixels may be equal
            warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
            streak = CLUSTERINGS[self.name](sample, rng)(features) & usable
        binned = prepare_binned(frame.residual, ~usable, 1)
        lines: list[Line] = []
        # Of a bright streak most of the cluster is its halo
        cores = [find_cores(streak, grey, quantile) for quantile in (0.75, 0.95)]
        for rough, sigma in (found for core in cores for found in rough_lines(core, 0.25)):
            x, y = rough.at(np.arange(0.0, rough.length_px + 1.0), 0.0)
            at = find_nearest_pixels(binned.light.shape, x, y)
            seen = binned.known[at] > 0.5
            if not seen.any():
                continue
            # The line of most light; a star on it counts 1.5 times what the line does
            most = np.float32(max(1.5 * float(np.median(binned.light[at][seen])), 4.0))
            cut = np.clip(binned.light, -most, most)
            line = fit_line(cut, binned.known, rough, sigma, 9.0)
            if line is not None and join_line(binned.light, binned.known, lines, line) is None:
                lines.append(line)
        # Narrower lines are cosmic rays and columns that bleed, wider ones clouds
        lines = [
            one
            for one in lines
            if one.snr >= 9.0
            and one.path.length_px >= 28.0
            and 1.7 <= FWHM_PER_SIGMA * one.sigma_px <= 8.0
        ]
        snr = np.array([one.snr for one in lines])
        return describe_lines(frame, lines, log10_false_alarm(snr, grey.size))


DETECTORS = tuple(Paper(name=name) for name in CLUSTERINGS)
