"""Supervised models: numpy says what scikit-learn says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from regengine.scene.crossval import choose_candidate
from regengine.scene.supervised import CANDIDATES, NEVER, Candidate, fit_supervised
from tests.regengine.scene.made_up import labelled, samples, with_more

FEATURES = 12
MADE = samples(features=FEATURES)
NEW = samples(seed=1, features=FEATURES)
STRENGTHS = {"logistic": 0.1, "lda": 0.6, "svm": 1.0, "mixed": 0.1}

# Of a kernel's margin in the score
WORTH = {"logistic": 0.0, "svm": 1.0, "mixed": 2.0}


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda c: f"{c.method}-{c.strength}")
def test_every_candidate_tells_gaussians_apart(candidate: Candidate) -> None:
    said = fit_supervised(candidate, MADE).scores(NEW.features).argmax(axis=1)
    assert (said == NEW.primary).all()


@pytest.mark.parametrize("method", STRENGTHS)
def test_numpy_is_sklearn(method: str) -> None:
    """Classes have equal numbers and groups equal sizes, so weights are all one."""
    strength = STRENGTHS[method]
    model = fit_supervised(Candidate(method=method, strength=strength), MADE)
    z, new = (model.standardiser.apply(s.features) for s in (MADE, NEW))
    ours = model.scores(NEW.features)
    if method == "lda":
        fitted = LinearDiscriminantAnalysis(
            solver="lsqr", shrinkage=strength, priors=np.full(3, 1 / 3)
        ).fit(z, MADE.primary)
        p = fitted.predict_proba(new)
        assert 1.0 / (1.0 + np.exp(-ours[:, :3])) == pytest.approx(p, abs=1e-9)
        return
    for index in range(3):
        line = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=1000)
        kernels = SVC(C=1.0, gamma=1.0 / (z.shape[1] * z.var()))
        said = [
            factor * one.fit(z, MADE.primary == index).decision_function(new)
            for one, factor in ((line, method != "svm"), (kernels, WORTH[method]))
        ]
        assert ours[:, index] == pytest.approx(sum(said), abs=2e-3 if WORTH[method] else 1e-6)


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda c: f"{c.method}-{c.strength}")
def test_one_photo_a_class(candidate: Candidate) -> None:
    few = MADE.subset(np.unique(MADE.primary, return_index=True)[1])
    scores = fit_supervised(candidate, few).scores(NEW.features)
    assert np.isfinite(scores).all()
    assert (scores.argmax(axis=1) == NEW.primary).mean() > 0.9 or candidate.method == "lda"


def test_two_classes_of_discriminants() -> None:
    two = MADE.subset(MADE.primary < 2)
    model = fit_supervised(Candidate(method="lda", strength=0.6), two)
    z = model.standardiser.apply(two.features)
    fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.6).fit(z, two.primary)
    assert model.scores(two.features)[:, 1] == pytest.approx(
        np.clip(fitted.decision_function(z), NEVER, -NEVER)
    )


@pytest.mark.parametrize("method", STRENGTHS)
def test_a_class_that_nobody_showed(method: str) -> None:
    model = fit_supervised(Candidate(method=method, strength=STRENGTHS[method]), MADE)
    assert (model.scores(NEW.features)[:, MADE.classes.index("other")] <= NEVER + 1e-9).all()


@pytest.mark.parametrize("method", ["logistic", "svm", "mixed"])
def test_two_classes_in_one_photo(method: str) -> None:
    labels = tuple(
        ("cities", "aurora") if name == "cities" and n % 2 else (name,)
        for n, (name,) in enumerate(MADE.labels)
    )
    rows = MADE.features.copy()
    rows[[("aurora" in names) for names in labels], 4] += 8.0
    both = labelled(rows, labels, MADE.groups)
    model = fit_supervised(Candidate(method=method, strength=10.0), both)
    shows = model.scores(rows) > 0.0
    assert (shows == both.targets).mean() > 0.98


def test_one_group_of_many_copies_weighs_as_one() -> None:
    """Forty copies of one odd photo move the boundary no more than the photo alone."""
    odd = MADE.features[:1] * 0.5
    model = Candidate(method="logistic", strength=0.1)

    def boundary(copies: int) -> np.ndarray:
        more = with_more(MADE, np.repeat(odd, copies, axis=0), "day", ["odd"] * copies)
        return fit_supervised(model, more).scores(odd)[0, MADE.classes.index("day")]

    alone = fit_supervised(model, MADE).scores(odd)[0, MADE.classes.index("day")]
    assert boundary(40) - alone < 2.0 * (boundary(1) - alone) + 0.1


def test_the_candidate_is_chosen_by_groups_left_out() -> None:
    """A ring around a blob: no line parts them, a kernel does."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 60)
    ring = 3.0 * np.column_stack([np.cos(angle), np.sin(angle)])
    rows = np.concatenate([ring, rng.normal(size=(60, 2))])
    made = labelled(rows, [("day",)] * 60 + [("inside",)] * 60, [n // 2 for n in range(120)])
    assert choose_candidate(made, seed=0).method == "svm"
    assert choose_candidate(MADE, seed=0, candidates=CANDIDATES[:1]) == CANDIDATES[0]
