"""Clusters of Gaussians of known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.mixture import GaussianMixture

from regengine.scene.clustering import (
    MOST_AXES,
    Clusters,
    fit_gmm,
    fit_kmeans,
    name_clusters,
    refit_gmm,
)
from regengine.scene.supervised import (
    fit_standardiser,
    with_discriminant_axes,
    with_principal_axes,
)
from tests.regengine.scene.made_up import CENTRES, draw, samples

FEATURES = 12
FITS = {"gmm": fit_gmm, "kmeans": fit_kmeans}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_the_number_of_clusters_is_found(fit) -> None:
    made = samples(60, features=FEATURES)
    clusters = fit(made.features, seed=0)
    assert len(clusters.weights) == len(CENTRES)
    assert clusters.weights == pytest.approx(1 / 3, abs=0.02)
    found = clusters.responsibilities(made.features).argmax(axis=1).reshape(len(CENTRES), -1)
    assert [len(set(row)) for row in found.tolist()] == [1, 1, 1]


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize("labels", [1, 5])
def test_a_few_labels_name_them(fit, labels: int) -> None:
    made = samples(60, features=FEATURES)
    clusters = fit(made.features, seed=0)
    told = made.subset(np.flatnonzero(np.arange(len(made)) % 60 < labels))
    named = name_clusters(clusters, told.features, told.targets, told.weights, told.classes)
    assert sorted(named.names) == sorted(CENTRES)
    new = samples(40, seed=1, features=FEATURES)
    assert (named.scores(new.features).argmax(axis=1) == new.primary).all()


def test_photos_that_show_two_classes() -> None:
    """Shares of a cluster need not sum to one."""
    made = samples(60, features=FEATURES)
    targets = made.targets.copy()
    aurora = made.classes.index("other")
    targets[made.primary == made.classes.index("cities"), aurora] = True
    clusters = fit_gmm(made.features, seed=0)
    named = name_clusters(clusters, made.features, targets, made.weights, made.classes)
    row = draw("cities", 1, np.random.default_rng(3), FEATURES)
    scores = named.scores(row)[0]
    assert scores[made.classes.index("cities")] > 2.0
    assert scores[aurora] > 2.0
    assert scores[made.classes.index("day")] < -2.0


def test_a_cluster_without_labels_has_the_shares_of_all() -> None:
    made = samples(60, features=FEATURES)
    clusters = fit_gmm(made.features, seed=0)
    told = made.subset(made.primary != made.classes.index("inside"))
    named = name_clusters(clusters, told.features, told.targets, told.weights, told.classes)
    row = draw("inside", 1, np.random.default_rng(3), FEATURES)
    scores = dict(zip(made.classes, named.scores(row)[0], strict=True))
    cities, day = scores["cities"], scores["day"]
    assert cities == pytest.approx(day, abs=0.01)
    assert abs(cities) < 0.1


@pytest.mark.parametrize("shape", ["spherical", "tied", "diag", "full"])
def test_numpy_gives_the_likelihood_of_sklearn(shape: str, monkeypatch) -> None:
    monkeypatch.setattr("regengine.scene.clustering.SHAPES", (shape,))
    made = samples(60, features=FEATURES)
    clusters = fit_gmm(made.features, seed=0)
    assert clusters.shape == shape
    z = clusters.standardiser.apply(made.features)
    theirs = GaussianMixture(
        len(clusters.weights), covariance_type=shape, reg_covar=0.05, n_init=2, random_state=0
    ).fit(z)
    assert clusters.log_likelihood(made.features) == pytest.approx(
        theirs.score_samples(z), rel=1e-9
    )
    assert clusters.responsibilities(made.features) == pytest.approx(
        theirs.predict_proba(z), abs=1e-9
    )
    again = refit_gmm(clusters, made.features, seed=0)
    assert again.means == pytest.approx(clusters.means)


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize("rows", [2, 3, 9])
def test_few_rows_and_copies(fit, rows: int) -> None:
    made = samples(features=FEATURES)
    for features in (made.features[:rows], np.repeat(made.features[:1], rows, axis=0)):
        clusters = fit(features, seed=0)
        assert isinstance(clusters, Clusters)
        assert np.isfinite(clusters.log_likelihood(made.features)).all()


def test_standardised_features() -> None:
    rng = np.random.default_rng(0)
    rows = [5.0, -2.0, 7.0] + [10.0, 0.1, 0.0] * rng.uniform(-1.0, 1.0, (200, 3))
    standardiser = fit_standardiser(rows)
    z = standardiser.apply(rows)
    assert z.mean(axis=0) == pytest.approx(0.0, abs=1e-9)
    assert z.std(axis=0) == pytest.approx([1.0, 1.0, 0.0], abs=1e-9)
    far = standardiser.apply(np.array([[1e9, -1e9, 8.0]]))
    assert far.tolist() == [[3.0, -3.0, 1.0]]


def test_principal_axes_are_those_of_sklearn() -> None:
    made = samples(features=FEATURES)
    plain = fit_standardiser(made.features)
    turned = with_principal_axes(plain, made.features, variance=0.8, most=MOST_AXES)
    z = plain.apply(made.features)
    theirs = PCA(0.8, svd_solver="full").fit(z)
    assert turned.axes is not None
    assert turned.axes == pytest.approx(theirs.components_.T)
    assert turned.apply(made.features) == pytest.approx(
        theirs.transform(z) + z.mean(axis=0) @ turned.axes
    )


def test_discriminant_axes_are_those_of_sklearn() -> None:
    """They shrink toward a sphere in units of each feature, which is nearly the same here."""
    made = samples(60, features=6)
    plain = fit_standardiser(made.features)
    turned = with_discriminant_axes(plain, made.features, made.primary)
    assert turned.axes.shape == (6, 2)
    z = plain.apply(made.features)
    theirs = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.3).fit(z, made.primary)
    angles = subspace_angles(turned.axes, theirs.scalings_[:, :2])
    assert np.degrees(angles.max()) < 3.0


def test_discriminant_axes_of_copies() -> None:
    rows = np.repeat(samples(features=6).features[[0, 24]], 3, axis=0)
    turned = with_discriminant_axes(fit_standardiser(rows), rows, np.repeat([0, 1], 3))
    assert np.isfinite(turned.apply(rows)).all()
