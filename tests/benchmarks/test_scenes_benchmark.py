"""The benchmark of scene models: photos of one place and camera are judged together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import scenes
from regengine.scene.labels import SceneLabel

pytestmark = pytest.mark.slow

INDEX = """file,group,category,note
a/1.jpg,g1,cities_oblique,
a/2.jpg,g1,cities,retouched; also stars
b/3.jpg,astropi_cslab3ogel_5,infrared,also odd
b/4.jpg,astropi_night_81,other,
"""


BY_DAY = """file,group,band
morning_1.jpg,run_1,visible
nir_1.jpg,run_2,near infrared
"""


def test_the_index_of_the_photographs(tmp_path: Path) -> None:
    for folder, index in (("photos", INDEX), ("day/photos", BY_DAY)):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "index.csv").write_text(index, encoding="utf-8")
        for line in index.splitlines()[1:]:
            photo = tmp_path / folder / line.partition(",")[0]
            photo.parent.mkdir(exist_ok=True)
            photo.touch()
    labels = scenes.real_labels(tmp_path)
    assert [label.labels for label in labels] == [
        ("cities",),
        ("cities", "stars"),
        ("infrared",),
        ("other",),
        ("day",),
    ]
    # One camera behind one window is one group, by day and by night
    assert [label.group for label in labels] == [
        "g1",
        "g1",
        "astropi_cslab3ogel",
        "astropi_cslab3ogel",
        "run_1",
    ]
    assert labels[0].path == tmp_path / "photos/a/1.jpg"


def test_changed_copies_are_the_same_by_seed_and_none_is_made_of_cities(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = []
    for name in ("day", "cities"):
        picture = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
        labels.append(SceneLabel(path=tmp_path / f"{name}.png", labels=(name,), group=name))
    one, again = (scenes.changed_copies(labels, 2, seed=3) for _ in range(2))
    assert one.labels == (("day",), ("day",))
    assert one.simulated.all()
    assert np.array_equal(one.features, again.features)
    assert not np.array_equal(one.features[0], one.features[1])
