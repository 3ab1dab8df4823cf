"""Clouds by the lights that they hide: pictures of a made-up map, parts of which are covered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from matchers.light_grid import LightGrid
from matchers.photo_light import LightImage
from matchers.verify import Towns
from matchers.view import render_known
from regengine.collection.catalogue.quality import MET_IF_CLEAR, hidden_share, met_shares
from regengine.registration.map_window import footprint_window
from tests.example_results import nadir_camera
from tests.regengine.collection.catalogue.archive import ask, rows_of, taken, try_ask
from tests.regengine.exchange.export.exported import photographed, write_store

LON, LAT, STEP_DEG = 136.9, 35.7, 1.0 / 240.0
CAMERA = nadir_camera(LON, LAT)


@dataclass(frozen=True)
class MadeUpMap:
    """Towns on a dark plain, as a map of lights."""

    grid: LightGrid

    @property
    def info(self) -> Any:
        return SimpleNamespace(bounds=(130.0, 30.0, 140.0, 40.0))

    def window(self, west: float, south: float, east: float, north: float, _: float) -> LightGrid:
        return self.grid


def map_of(towns: int) -> MadeUpMap:
    rng = np.random.default_rng(7)
    values = np.zeros((720, 960), np.float32)
    for row, col in rng.uniform((180, 240), (540, 720), (towns, 2)).astype(int):
        values[row, col] = rng.uniform(300.0, 900.0)
    values = cv2.GaussianBlur(values, (0, 0), 2.0)
    return MadeUpMap(
        LightGrid(
            values=np.log10(1.0 + values).astype(np.float32),
            lon0_deg=LON - 480 * STEP_DEG,
            lat0_deg=LAT + 360 * STEP_DEG,
            step_deg=STEP_DEG,
        )
    )


def picture(made_up: MadeUpMap, covered: float, noise: float = 0.0) -> LightImage:
    """The map as the camera sees it, with the left share under a cloud."""
    levels = footprint_window(made_up, CAMERA, 25.0, 0.3)
    assert levels is not None
    view, _ = render_known(levels, CAMERA, 2)
    light = np.nan_to_num(view).astype(np.float32)
    light[:, : round(covered * light.shape[1])] = 0.0
    grain = np.random.default_rng(8).normal(0.0, 1.0, light.shape)
    light += noise * cv2.GaussianBlur(grain, (0, 0), 2.0).astype(np.float32)
    return LightImage(values=light, weight=np.ones_like(light), factor=1.0)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_what_is_covered_is_told(noise: float) -> None:
    made_up = map_of(120)
    told = [hidden_share(picture(made_up, part, noise), CAMERA, made_up) for part in (0, 0.4, 0.8)]
    assert told[0] == 0.0
    assert told[1] == pytest.approx(1.0 - 0.6 / MET_IF_CLEAR, abs=0.15)
    assert told[2] == pytest.approx(1.0 - 0.2 / MET_IF_CLEAR, abs=0.15)


def test_what_cannot_be_told_is_missing() -> None:
    few, many = map_of(5), map_of(120)
    assert hidden_share(picture(few, 0.0), CAMERA, few) is None
    dark = picture(many, 1.0)
    assert hidden_share(dark, CAMERA, many) is None
    elsewhere = nadir_camera(20.0, 10.0)
    assert hidden_share(picture(many, 0.0), elsewhere, many) is None


def towns(places: list[tuple[float, float]], contrast: float) -> Towns:
    x, y = np.array(places).T
    return Towns(x=x, y=y, contrast=np.full(len(places), contrast))


def test_grain_is_no_town() -> None:
    places = [(20.0 * i + 10.0, 20.0 * k + 10.0) for i in range(6) for k in range(5)]
    expected = towns(places, 1.0)
    assert met_shares(expected, towns(places, 0.4), (120, 100))[0] == 1.0
    half = Towns(x=expected.x, y=expected.y, contrast=np.where(np.arange(30) < 20, 0.5, 0.05))
    assert met_shares(expected, half, (120, 100))[0] == pytest.approx(20 / 30)
    apart = towns([(500.0, 500.0), (600.0, 500.0)], 1.0)
    assert met_shares(expected, apart, (120, 100)) == (0.0, 0.0)


def test_a_map_is_compared_with_photos(tmp_path: Path) -> None:
    lights = Path(__file__).resolve().parents[4] / "data_samples" / "lights.tif"
    seen = photographed(taken("seen", -152.0, 34.0), tmp_path / "seen.jpg")
    store = write_store(tmp_path / "run.h5", [seen, taken("gone", -152.0, 34.0)])
    out = tmp_path / "c.parquet"
    ask("build", store, "--out", out, "--lights", lights)
    rows = rows_of(out)
    assert rows["seen"]["sharpness"] is not None
    assert (rows["gone"]["cloud"], rows["gone"]["cloud_source"]) == (None, None)
    clash = try_ask("build", store, "--out", out, "--force", "--lights", lights, "--no-pictures")
    assert (clash.exit_code, clash.stderr.count("\n")) == (2, 1)
    absent = try_ask("build", store, "--out", out, "--force", "--lights", tmp_path / "no.tif")
    assert (absent.exit_code, absent.stderr.count("\n")) == (3, 1)
