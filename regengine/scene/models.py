"""Scene classification models, fitted with scikit-learn and stored as plain arrays.

Features are centred, scaled and clipped. A classifier gives each class a score, which a curve of
that class turns into a probability. An outlier gate runs before all of it and rejects photos that
are unlike all training photos. Classifiers are either supervised (kernel ridge regression on the
labels) or unsupervised: Gaussian mixtures with the number of components of least Bayesian
information criterion (Schwarz 1978), or k-means clusters with the greatest silhouette (Rousseeuw
1987). Labels only name the clusters. Only fitting needs scikit-learn: numpy and scipy evaluate the
arrays.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve
from scipy.special import expit, logsumexp

from detectors.types import FloatArray
from regengine.errors import ConfigError
from regengine.io.atomic import write_whole
from regengine.io.plain import format_command
from regengine.io.tables import read_text
from regengine.scene.features import feature_names, feature_versions
from regengine.scene.labels import OTHER, IndexArray, LabelledFeatures, deal_folds

# Standardised features are clipped at this many standard deviations: a feature that hardly varied
# in training (a count that was always 0) must not dominate all others
LIMIT_SIGMA = 3.0

# Numbers of clusters to try, up to what the number of rows allows
COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 26, 32, 40)
SHAPES = ("spherical", "tied", "diag", "full")
# Principal axes: a larger number would need more labelled photos than a person provides
VARIANCE_KEPT, MAX_AXES = 0.9, 12
# Added to variances, which are of order 1: a cluster of copies of one frame must not become a spike
MIN_VARIANCE = 0.05
# A cluster's share of a class is estimated from its labels plus this many labels distributed as the
# overall share
PRIOR_LABELS, MIN_SHARE = 0.5, 1e-9

# A class that a photo shows beside its first one is learned as shown with this probability: it is
# the lesser part of the picture
FURTHER_SHARE = 0.7
# Penalty on the squared norm of a regression, for a photo of mean weight (a third of it to twice as
# much told as many photos, with groups left out), and the digits after the point that are kept of
# standardised features and of coefficients, for a shorter file
RIDGE, PHOTO_DIGITS, COEFFICIENT_DIGITS = 0.5, 3, 6

# The gate rejects this share of the training groups that their own classes should explain
QUANTILE, HELD_OUT_FOLDS = 0.01, 5
# Minimum probability of `OTHER` for a photo outside the gate, however few photos it rejected in
# training
MIN_UNEXPLAINED = 0.51
# Bounds of the slope: a class model that is worse than chance must not be inverted
MIN_SLOPE, MAX_SLOPE = 1e-3, 1e2
# Further classes are reported from this probability on. Most labels name only the main content of a
# photo, so probabilities of additional content come out low.
ALSO_PROBABILITY = 0.3


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """Centring, scaling and clipping, which make features of different units comparable."""

    mean: FloatArray  # shape (F,): subtracted
    scale: FloatArray  # shape (F,): divided by

    def apply(self, features: FloatArray) -> FloatArray:
        """Standardised features; shape (N, F) → (N, F)."""
        return np.clip((features - self.mean) / self.scale, -LIMIT_SIGMA, LIMIT_SIGMA)


def fit_scaler(features: FloatArray) -> Scaler:
    """Fit the `Scaler` of mean 0 and variance 1."""
    from sklearn.preprocessing import StandardScaler

    fitted = StandardScaler().fit(features)
    return Scaler(mean=fitted.mean_, scale=fitted.scale_)


@dataclass(frozen=True, kw_only=True)
class Axes:
    """Projection axes in the space of standardised features."""

    scaler: Scaler
    directions: FloatArray  # shape (F, D)

    def apply(self, features: FloatArray) -> FloatArray:
        """Features projected onto the axes; shape (N, F) → (N, D)."""
        return self.scaler.apply(features) @ self.directions


def fit_principal_axes(features: FloatArray) -> Axes:
    """Principal axes: the directions of greatest variance of standardised features."""
    from sklearn.decomposition import PCA

    scaler = fit_scaler(features)
    with np.errstate(invalid="ignore"):  # copies of one frame do not vary at all
        pca = PCA(min(MAX_AXES, *features.shape), svd_solver="full").fit(scaler.apply(features))
    explained = np.cumsum(np.nan_to_num(pca.explained_variance_ratio_))
    keep = min(int(np.searchsorted(explained, VARIANCE_KEPT)) + 1, len(explained))
    directions = np.ascontiguousarray(pca.components_[:keep].T)
    return Axes(scaler=scaler, directions=directions)


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """A mixture of K Gaussians on D axes."""

    shape: str  # covariance type in scikit-learn's terms: "spherical", "tied", "diag" or "full"
    axes: Axes
    weights: FloatArray  # shape (K,): weight of each cluster; they sum to one
    means: FloatArray  # shape (K, D): centres
    whitening: FloatArray  # shape (K, D, D): ``(z - mean) @ whitening`` has unit covariance

    def log_joint(self, features: FloatArray) -> FloatArray:
        """Joint log density of features and cluster; shape (N, F) → (N, K)."""
        z = self.axes.apply(features)
        away = np.einsum("nkd,kde->nke", z[:, None] - self.means, self.whitening)
        log_determinant = np.log(np.einsum("kdd->kd", self.whitening)).sum(axis=1)
        constant = np.log(self.weights) + log_determinant - 0.5 * z.shape[1] * np.log(2.0 * np.pi)
        return np.asarray(constant - 0.5 * np.sum(away**2, axis=2), np.float64)

    def log_likelihood(self, features: FloatArray) -> FloatArray:
        """Log density of features; shape (N, F) → (N,)."""
        return np.asarray(logsumexp(self.log_joint(features), axis=1), np.float64)

    def responsibilities(self, features: FloatArray) -> FloatArray:
        """Probability of each cluster by Bayes' rule; shape (N, F) → (N, K)."""
        joint = self.log_joint(features)
        return np.asarray(np.exp(joint - logsumexp(joint, axis=1, keepdims=True)), np.float64)


def fit_gmm(features: FloatArray, *, seed: int) -> Mixture:
    """Fit Gaussian mixtures on principal axes and keep the one of least BIC."""
    axes = fit_principal_axes(features)
    z = axes.apply(features)
    best, least = None, np.inf
    for shape in SHAPES:
        worse = 0
        for count in _counts(len(z)):
            fitted = _fit_mixture(z, count, shape, seed)
            criterion = fitted.bic(z)
            worse = worse + 1 if criterion >= least else 0
            if criterion < least:
                best, least = fitted, criterion
            if worse == 3:  # the criterion has a single minimum
                break
    return _export_mixture(best, axes)


def fit_kmeans(features: FloatArray, *, seed: int) -> Mixture:
    """Fit k-means and keep the number of clusters with the greatest silhouette.

    The clusters are evaluated as spherical Gaussians of one common width.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import silhouette_score

    axes = fit_principal_axes(features)
    z = axes.apply(features)
    best, greatest = None, -np.inf
    for count in _counts(len(z)):
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            fitted = KMeans(count, n_init=4, random_state=seed).fit(z)
        parts = len(np.unique(fitted.labels_))
        # The silhouette of a single cluster is 0 by definition
        merit = silhouette_score(z, fitted.labels_) if 1 < parts < len(z) else 0.0
        if merit > greatest:
            best, greatest = fitted, merit
    assert best is not None
    variance = float(np.mean((z - best.cluster_centers_[best.labels_]) ** 2))
    sizes = np.bincount(best.labels_, minlength=len(best.cluster_centers_))
    present = sizes > 0
    width = np.eye(z.shape[1]) / np.sqrt(max(variance, MIN_VARIANCE))
    return Mixture(
        shape="spherical",
        axes=axes,
        weights=sizes[present] / sizes.sum(),
        means=best.cluster_centers_[present].astype(np.float64),
        whitening=np.repeat(width[None], int(present.sum()), axis=0),
    )


def _counts(rows: int) -> list[int]:
    return [count for count in COUNTS if count <= max(rows // 4, 1)]


def _fit_mixture(z: FloatArray, count: int, shape: str, seed: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        count, covariance_type=shape, reg_covar=MIN_VARIANCE, n_init=2, random_state=seed
    )
    # Few or identical rows: the criterion judges the fits
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return mixture.set_params(max_iter=200).fit(z)


def _export_mixture(fitted: Any, axes: Axes) -> Mixture:
    factors, shape = fitted.precisions_cholesky_, (*fitted.means_.shape, fitted.means_.shape[1])
    if fitted.covariance_type in ("spherical", "diag"):
        factors = factors.reshape(len(factors), -1, 1) * np.eye(shape[-1])
    factors = np.broadcast_to(factors, shape)  # "tied": one for all
    return Mixture(
        shape=fitted.covariance_type,
        axes=axes,
        weights=fitted.weights_,
        means=fitted.means_,
        whitening=np.ascontiguousarray(factors),
    )


@dataclass(frozen=True, kw_only=True)
class NamedClusters:
    """K clusters and the shares of the classes in each."""

    mixture: Mixture
    # Shape (K, C): probability that a photo of the cluster shows the class, strictly between 0 and
    # 1. A row need not sum to one: a photo may show several classes
    shares: FloatArray

    def scores(self, features: FloatArray) -> FloatArray:
        """Log odds of each class; shape (N, F) → (N, C)."""
        shares = self.mixture.responsibilities(features) @ self.shares
        shares = np.clip(shares, MIN_SHARE, 1.0 - MIN_SHARE)
        return np.asarray(np.log(shares) - np.log1p(-shares), np.float64)


def name_clusters(mixture: Mixture, samples: LabelledFeatures) -> NamedClusters:
    """Estimate the class shares of clusters from labelled photos.

    Each photo counts in each cluster with its responsibility. A cluster without labels has the
    shares of all photos.
    """
    weights, targets = samples.weights, samples.targets
    overall = weights @ targets + PRIOR_LABELS / targets.shape[1]
    overall = np.minimum(overall / (weights.sum() + PRIOR_LABELS), 1.0 - MIN_SHARE)
    votes = mixture.responsibilities(samples.features) * weights[:, None]
    shares = votes.T @ targets + PRIOR_LABELS * overall
    shares /= votes.sum(axis=0)[:, None] + PRIOR_LABELS
    return NamedClusters(mixture=mixture, shares=shares)


@dataclass(frozen=True, kw_only=True)
class KernelRidge:
    """Kernel ridge regression of each class on the likeness to the N training photos.

    The likeness of two photos is ``exp(-distance² / F)`` in F standardised features.
    """

    scaler: Scaler
    photos: FloatArray  # shape (N, F): standardised
    coefficients: FloatArray  # shape (N, C)

    def scores(self, features: FloatArray) -> FloatArray:
        """About 1 for a class that a photo shows and -1 for others; shape (N, F) → (N, C)."""
        return measure_likeness(self.scaler.apply(features), self.photos) @ self.coefficients


def measure_likeness(some: FloatArray, others: FloatArray) -> FloatArray:
    """Gaussian kernel of standardised features; shapes (N, F), (M, F) → (N, M)."""
    from scipy.spatial.distance import cdist

    return np.asarray(np.exp(-cdist(some, others, "sqeuclidean") / some.shape[1]), np.float64)


def fit_kernel_ridge(samples: LabelledFeatures) -> KernelRidge:
    """Fit all classes, with equal weight for each class and each group within it.

    Regression on 1 for the first class of a photo and -1 for what it does not show, the
    least-squares support vector machine without an offset (Suykens & Vandewalle 1999).
    """
    totals = np.bincount(samples.primary, samples.weights, len(samples.classes))
    balanced = samples.weights / totals[samples.primary]
    balanced *= len(balanced) / balanced.sum()
    targets = np.where(samples.targets, 2.0 * FURTHER_SHARE - 1.0, -1.0)
    targets[np.arange(len(samples)), samples.primary] = 1.0
    scaler = fit_scaler(samples.features)
    photos = np.round(scaler.apply(samples.features), PHOTO_DIGITS)
    ridged = measure_likeness(photos, photos) + np.diag(RIDGE / balanced)
    coefficients = np.round(solve(ridged, targets, assume_a="pos"), COEFFICIENT_DIGITS)
    return KernelRidge(scaler=scaler, photos=photos, coefficients=coefficients)


Classifier = NamedClusters | KernelRidge


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Outlier gate: photos with a low likelihood under all clusters are unlike the training photos.

    `threshold` is the minimum log-likelihood of a photo that the clusters explain.
    """

    mixture: Mixture
    threshold: float

    def explains(self, features: FloatArray) -> NDArray[np.bool_]:
        """Whether the clusters explain each photo; shape (N, F) → (N,)."""
        return np.asarray(self.mixture.log_likelihood(features) >= self.threshold)


def fit_gate(mixture: Mixture, samples: LabelledFeatures, *, seed: int) -> Gate:
    """Set the threshold from the likelihoods of the training photos.

    A photo has a higher likelihood under clusters that were fitted to it than a new photo would
    have. Each photo is therefore evaluated under the same number of clusters fitted without its
    group. The threshold is a low quantile of these likelihoods. Photos labelled `OTHER`, and photos
    whose class has no other group, are not used: the clusters need not explain them.
    """
    likelihood = np.full(len(samples), np.nan)
    for train, test in deal_folds(samples, count=HELD_OUT_FOLDS, seed=seed, alone_below=0):
        known = np.isin(samples.primary[test], samples.primary[train])
        known &= samples.primary[test] != samples.classes.index(OTHER)
        if known.any() and len(train) >= 2:
            # A mixture of the same size and covariance type, on the same axes
            z = mixture.axes.apply(samples.features[train])
            count = min(len(mixture.weights), len(z))
            without = _export_mixture(_fit_mixture(z, count, mixture.shape, seed), mixture.axes)
            tested = test[known]
            likelihood[tested] = without.log_likelihood(samples.features[tested])
    judged = np.isfinite(likelihood)
    if not judged.any():
        least = float(mixture.log_likelihood(samples.features).min())
        return Gate(mixture=mixture, threshold=least)
    # Weighted quantile, linearly interpolated between the values
    values, weights = likelihood[judged], samples.weights[judged]
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - 0.5 * weights[order]
    threshold = float(np.interp(QUANTILE * weights.sum(), below, values[order]))
    return Gate(mixture=mixture, threshold=threshold)


@dataclass(frozen=True, kw_only=True)
class PlattCalibration:
    """Conversion of scores to probabilities: Platt's curve, fitted to left-out photos.

    For each class, ``s = floor + (1 - floor) * sigmoid(slope * score + margin_slope * margin +
    offset)``, where the margin is the difference between its score and the best of all others:
    each class has a slope and an offset of its own. The probability that a photo shows the class is
    ``s - (1 - ceiling) * s ** (1 / (1 - ceiling))``: it rises to the ceiling and is nearly s below
    it, so that a class with few photos has no disadvantage where the picture is ambiguous. A photo
    that the gate does not explain is `OTHER` with a probability of at least ``unexplained``, and
    has at most the rest for any other class.
    """

    slope: FloatArray  # shape (C,)
    # Common to all classes. The margin identifies the leading class, however low its score
    margin_slope: float
    offset: FloatArray  # shape (C,)
    floor: float  # lower bound of each probability
    # Shape (C,): upper bounds. After n groups of a class that were all classified correctly, the
    # next one is with a probability of (n + 1) / (n + 2) (Laplace's rule of succession)
    ceiling: FloatArray
    unexplained: float  # from the photos that the gate rejected, at least `MIN_UNEXPLAINED`

    def probabilities(
        self, scores: FloatArray, explained: NDArray[np.bool_], other: int
    ) -> FloatArray:
        """Probability of each class, never 0 or 1; `other` is the index of `OTHER`."""
        logit = self.slope * scores + self.margin_slope * margins(scores) + self.offset
        s = self.floor + (1.0 - self.floor) * expit(logit)
        bent = s - (1.0 - self.ceiling) * s ** (1.0 / (1.0 - self.ceiling))
        p = np.asarray(np.clip(bent, self.floor, self.ceiling), np.float64)
        odd = ~explained
        p_other = np.maximum(p[odd, other], self.unexplained)
        p[odd] = np.minimum(p[odd], 1.0 - self.unexplained)
        p[odd, other] = p_other
        return p


def margins(scores: FloatArray) -> FloatArray:
    """Each score minus the greatest other one of its row; shape (N, C), C at least 2."""
    two = np.sort(scores, axis=1)[:, -2:]
    greatest = scores == two[:, 1:]
    return np.where(greatest, scores - two[:, :1], scores - two[:, 1:])


def most_probable(
    probabilities: FloatArray, explained: NDArray[np.bool_], other: int
) -> IndexArray:
    """Index of the most probable class of each photo, shape (N,); `OTHER` if unexplained."""
    return np.where(explained, probabilities.argmax(axis=1), other).astype(np.intp)


def fit_calibration(
    scores: FloatArray,
    targets: NDArray[np.bool_],
    explained: NDArray[np.bool_],
    weights: FloatArray,
    groups: IndexArray,
    other: int,
) -> PlattCalibration:
    """Fit the calibration curve to scores of photos left out of the classifier's training.

    Platt's smoothed targets (1999) replace 0 and 1, so that few photos never result in a step
    function. The slope and the offset of a class are drawn towards those of all by a prior that is
    worth one photo: a class of three photos has nearly the common curve.
    """
    from scipy.optimize import minimize

    positive, negative = weights @ targets, weights @ ~targets
    wanted = np.where(targets, (positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0))
    margin, count = margins(scores), scores.shape[1]

    def curves(parameters: FloatArray) -> tuple[FloatArray, float, FloatArray]:
        (steep, margin_steep, offset), own = parameters[:3], parameters[3:].reshape(2, count)
        return np.exp(steep + own[0]), float(np.exp(margin_steep)), offset + own[1]

    def loss(parameters: FloatArray) -> float:
        slope, margin_slope, offset = curves(parameters)
        logit = slope * scores + margin_slope * margin + offset
        missed = weights @ (np.logaddexp(0.0, logit) - wanted * logit)
        return float(np.sum(missed) + np.sum(parameters[3:] ** 2))

    steepness = (np.log(MIN_SLOPE), np.log(MAX_SLOPE))
    bounds = [steepness, steepness, (-20.0, 20.0), *[(-3.0, 3.0)] * (2 * count)]
    start = [0.0, -2.0, 0.0, *[0.0] * (2 * count)]
    slope, margin_slope, offset = curves(minimize(loss, start, bounds=bounds, method="L-BFGS-B").x)
    fallen = float(weights[~explained].sum())
    strange = float(weights[~explained & targets[:, other]].sum())
    ceiling = (groups + 1.0) / (groups + 2.0)
    most = max(float(ceiling[other]), MIN_UNEXPLAINED)
    return PlattCalibration(
        slope=slope,
        margin_slope=margin_slope,
        offset=offset,
        floor=float(1.0 / (groups.sum() + 2.0)),
        ceiling=ceiling,
        unexplained=float(np.clip((strange + 1.0) / (fallen + 2.0), MIN_UNEXPLAINED, most)),
    )


@dataclass(frozen=True, kw_only=True)
class SceneAnswer:
    """Classification of one photo."""

    category: str  # the most probable class
    probabilities: Mapping[str, float]  # of every class; they need not sum to one
    also: tuple[str, ...]  # other classes of at least `ALSO_PROBABILITY`, the most probable first
    # False if the photo is unlike all training photos; its category is then `OTHER`
    explained: bool
    # What the category follows from: "features" of the picture, the Sun or the Moon at the "nadir",
    # lights on either side of the "limb", or identified "stars"
    category_from: str = "features"


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """Training photos of a model, and its scores on left-out photos."""

    source: str  # description of the photos
    libraries: Mapping[str, str]  # versions of the libraries that fitted the model
    # Length C, for each class: real photos that show it, their groups, simulated frames
    photos: tuple[int, ...]
    groups: tuple[int, ...]
    simulated: tuple[int, ...]
    # Shape (C, C): real photos, left out in turn: true class (rows), predicted class (columns)
    confusion: IndexArray
    scored: tuple[str, ...]  # classes with enough groups for a score
    # Mean F1 of the scored classes, left out in turn, for each kind of model that was tested
    macro_f1: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class SceneModel:
    """A complete scene classifier: features in, class probabilities out."""

    feature_names: tuple[str, ...]  # length F: names of the features, in order
    feature_versions: Mapping[str, int]
    classes: tuple[str, ...]  # length C; includes `OTHER`
    method: str  # kind of classifier, one of `regengine.scene.training.METHODS`
    classifier: Classifier
    gate: Gate
    calibration: PlattCalibration
    training: TrainingRecord

    def answer(self, features: FloatArray) -> SceneAnswer:
        """Classify one photo; features, shape (F,), as returned by `measure_features`."""
        row, other = np.asarray(features, np.float64)[None], self.classes.index(OTHER)
        explained = self.gate.explains(row)
        p = self.calibration.probabilities(self.classifier.scores(row), explained, other)
        category = self.classes[int(most_probable(p, explained, other)[0])]
        probabilities = dict(zip(self.classes, p[0].tolist(), strict=True))
        return SceneAnswer(
            category=category,
            probabilities=probabilities,
            also=also_shown(probabilities, category),
            explained=bool(explained[0]),
        )


def also_shown(probabilities: Mapping[str, float], category: str) -> tuple[str, ...]:
    shown = [n for n, p in probabilities.items() if p >= ALSO_PROBABILITY and n != category]
    return tuple(sorted(shown, key=lambda name: -probabilities[name]))


# The file is one sealed JSON of plain arrays, without executable code
FORMAT = "regengine-scene-model"
FORMAT_VERSION = 3
# How a field's array is read back, by the type of the field
DTYPES: Mapping[Any, type] = {FloatArray: np.float64, IndexArray: np.intp}


@lru_cache(maxsize=4)
def load_scene_model(path: Path | None = None) -> SceneModel:
    """Read and validate a model of `write_scene_model`, by default that of this version; cached.

    Raises ConfigError if the file cannot be read, is damaged, has another format, or was trained on
    other features than the present ones.
    """
    path = path or Path(str(files("regengine.scene") / "scene_model.json"))
    again = f"train it again with {format_command('train', 'LABELS.csv', '--out', path.name)}"
    try:
        content = json.loads(read_text(path))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        if content.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"its format_version is {content.get('format_version')!r}, not {FORMAT_VERSION}: "
                "another version of regengine wrote it"
            )
        if content.pop("sha256", None) != _seal(content):
            raise ValueError("it was changed or damaged after it was written")
        # Coefficients do not apply to other features
        theirs, ours = dict(content["feature_versions"]), feature_versions()
        differ = [
            f"{family} has version {theirs.get(family, 0)} there and {ours.get(family, 0)} here"
            for family in sorted({*theirs, *ours})
            if theirs.get(family) != ours.get(family)
        ]
        if not differ and content["feature_names"] != list(feature_names()):
            differ = ["their names differ"]
        if differ:
            what = f"trained on other features than this version computes ({', '.join(differ)})"
            raise ConfigError(f"{path}: {what}; {again}.")
        model: SceneModel = _build(SceneModel, content)
        return model
    except ConfigError:
        raise
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path}: the scene model cannot be read ({error}).") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ConfigError(f"{path}: not a valid scene model ({why}); {again}.") from error


def write_scene_model(path: Path, model: SceneModel) -> None:
    """Write a model atomically: one line per part, with a checksum of all of them.

    Equal models give equal bytes. Raises StoreError if the file cannot be written.
    """
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(model)}
    dump = partial(json.dumps, default=np.ndarray.tolist, allow_nan=False)
    lines = [f'"{name}": {dump(value)}' for name, value in content.items()]
    text = "{\n" + ",\n".join([*lines, f'"sha256": "{_seal(content)}"']) + "\n}\n"
    write_whole(path, text.encode())


def _seal(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, default=np.ndarray.tolist, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _build(kind: type[Any], table: Mapping[str, Any]) -> Any:
    """Build a part of a model from the content of its file, which the seal has proved whole."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        value = table[name]
        if hint == Classifier:
            hint = NamedClusters if "mixture" in value else KernelRidge
        if isinstance(hint, type) and is_dataclass(hint):
            found[name] = _build(hint, value)
        elif hint in DTYPES:
            found[name] = np.array(value, DTYPES[hint])
        else:
            found[name] = tuple(value) if get_origin(hint) is tuple else value
    return kind(**found)
