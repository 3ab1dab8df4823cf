"""Features of the real photographs: each class stands out, doubles of a frame come out alike."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from regengine.scene.features import feature_names, measure_features
from regengine.scene.picture import read_scene_picture, scene_picture

pytestmark = pytest.mark.real


class Measured:
    """Features, classes and frames of all labelled photos."""

    def __init__(self, photos: Path) -> None:
        with (photos / "index.csv").open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        self.files = [row["file"] for row in rows]
        self.classes = np.array([row["category"].removesuffix("_oblique") for row in rows])
        self.frames = [row["frame_id"] for row in rows]
        self.features = np.array(
            [measure_features(read_scene_picture(photos / name)) for name in self.files]
        )

    def of(self, feature: str) -> NDArray[np.float64]:
        return np.asarray(self.features[:, feature_names().index(feature)])


@pytest.fixture(scope="module")
def measured(real_data: Path) -> Measured:
    return Measured(real_data / "photos")


@pytest.mark.parametrize(
    ("feature", "high", "low", "least"),
    [
        # The second class: None for all others. Measured in 2026, less 0.03
        ("points_contrast", "cities", "night_nocity", 0.95),
        ("points_excess", "cities", "day", 0.96),
        ("points_warm_count", "cities", "inside", 0.93),
        ("colour_green_area", "aurora", None, 0.96),
        ("structure_length", "inside", "day", 0.96),
        ("structure_panes", "inside", "day", 0.95),
        ("luminance_p90", "inside", "cities", 0.93),
        ("colour_dim_blue", "day", "infrared", 0.93),
        ("limb_sky_share", "stars", None, 0.95),
    ],
)
def test_a_class_stands_out(
    measured: Measured, feature: str, high: str, low: str | None, least: float
) -> None:
    others = measured.classes != high if low is None else measured.classes == low
    shown = others | (measured.classes == high)
    area = roc_auc_score(measured.classes[shown] == high, measured.of(feature)[shown])
    assert area >= least


def test_edited_doubles_come_out_alike(measured: Measured) -> None:
    """Copies at 1000 px by an editor, at 640 px by the archive: closer than any two photos are."""
    pairs = [
        (i, j)
        for i, j in product(range(len(measured.files)), repeat=2)
        if measured.frames[i]
        and measured.frames[i] == measured.frames[j]
        and "unproc" in measured.files[i]
        and "unproc" not in measured.files[j]
    ]
    assert len(pairs) >= 15
    first, second = (measured.features[[pair[side] for pair in pairs]] for side in (0, 1))
    # Two photos at random differ by 1.41 of the standard deviation, in the root mean square
    apart = np.sqrt(np.mean((first - second) ** 2, axis=0)) / measured.features.std(axis=0)
    assert np.median(apart) < 0.65
    assert apart.max() < 1.3, np.array(feature_names())[apart >= 1.3]


def test_a_small_copy_comes_out_alike(measured: Measured, real_data: Path) -> None:
    """Large photos against their copies as an archive would serve them: 640 px, quality 80."""
    changes = []
    for name, features in zip(measured.files, measured.features, strict=True):
        image = cv2.imread(str(real_data / "photos" / name))
        scale = 640 / max(image.shape)
        if scale > 0.3:
            continue
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        packed = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
        copy = cv2.cvtColor(cv2.imdecode(packed, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        changes.append(measure_features(scene_picture(np.asarray(copy))) - features)
    assert len(changes) >= 15
    apart = np.sqrt(np.mean(np.square(changes), axis=0)) / measured.features.std(axis=0)
    assert np.median(apart) < 0.12
    assert apart.max() < 0.9, np.array(feature_names())[apart >= 0.9]
