"""The benchmark of scene models: what it reads, what it says, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import scenes
from regengine.scene.features import feature_names
from regengine.scene.samples import Samples, joined

pytestmark = pytest.mark.slow

INDEX = """file,group,category,note
a/1.jpg,g1,cities_oblique,
a/2.jpg,g1,cities,retouched; also stars
b/3.jpg,astropi_cslab3ogel_5,infrared,also odd
b/4.jpg,astropi_night_81,other,
"""


def made(simulated: bool = False) -> Samples:
    """Two classes, the last photo of cities looking like the other."""
    rng = np.random.default_rng(0)
    rows = np.zeros((40, len(feature_names())))
    rows[:, :6] = 0.1 * rng.normal(size=(40, 6))
    rows[20:, 3] += 4.0
    rows[19] = rows[20:].mean(axis=0)
    labels = ["cities"] * 20 + ["day"] * 20
    return Samples(
        features=rows,
        labels=tuple((label,) for label in labels),
        groups=tuple(f"{simulated}{n}" for n in range(40)),
        simulated=np.full(40, simulated),
        names=tuple(map(str, range(40))),
    )


def test_the_index_of_the_photographs(tmp_path: Path) -> None:
    for folder in ("photos", "starfields"):
        (tmp_path / folder).mkdir()
    (tmp_path / "photos" / "index.csv").write_text(INDEX, encoding="utf-8")
    for name in ("ost_img0.png", "auromat_ISS029-E-8492.jpg", "index.csv"):
        (tmp_path / "starfields" / name).touch()
    labels = scenes.real_labels(tmp_path)
    assert [label.labels for label in labels] == [
        ("cities",),
        ("cities", "stars"),
        ("infrared",),
        ("other",),
        ("stars",),
    ]
    # One camera behind one window is one group, by day and by night
    assert [label.group for label in labels] == [
        "g1",
        "g1",
        "astropi_cslab3ogel",
        "astropi_cslab3ogel",
        "field ost",
    ]
    assert labels[0].path == tmp_path / "photos/a/1.jpg"


def test_what_the_model_says_it_was_trained_on() -> None:
    text = scenes.source(joined([made(), made(simulated=True)]))
    assert "40 public photographs" in text
    assert "40 simulated frames (cities, day)" in text


def test_simulated_frames_are_the_same_every_time() -> None:
    first, second = (scenes.draw("moon", np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)
    one, two = (scenes.simulated_samples(["moon"], 2, 3) for _ in range(2))
    # Sums of single precision end in another digit where their array lies otherwise in memory
    assert np.allclose(one.features, two.features, rtol=2.0 * np.finfo(np.float32).eps, atol=0.0)
    assert not np.allclose(one.features[0], one.features[1])
    assert one.simulated.all()
    assert one.groups == ("simulated-moon-3-0", "simulated-moon-3-1")


def test_without_photographs(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("REGENGINE_REAL_DATA", str(tmp_path))
    assert scenes.main([]) == 3
    assert "set REGENGINE_REAL_DATA" in capsys.readouterr().err
