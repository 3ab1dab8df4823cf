"""Points moved to where photo and map agree: from beside the truth to it, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matchers.camera import Camera
from matchers.pose import turned
from regengine.lights.map import open_light_map
from regengine.review.bodies import camera_json
from regengine.review.reviewed import ReviewedPoint
from regengine.review.routes_solve import PhotoLightCache
from regengine.review.solving import Snapped, cut_out, snap
from tests.regengine.review.made_review import Browser
from tests.regengine.review.sample import SAMPLES, true_camera, truth_of

FRAME, NUMBER = "ISS990-E-000104", 3
CITY = 1  # of the reference points, one with towns around
LIGHTS = SAMPLES / "lights.tif"
CACHE = PhotoLightCache()
MAP = open_light_map((LIGHTS,))


def beside(dx_px: float, dy_px: float, index: int = CITY) -> ReviewedPoint:
    """A reference point whose pixel is off by so much."""
    known = truth_of(FRAME)["reference_points"][index]
    return ReviewedPoint(
        x=known["x"] + dx_px,
        y=known["y"] + dy_px,
        lon=known["lon"],
        lat=known["lat"],
        sigma_px=None,
        origin="person",
    )


def snapped(camera: Camera, point: ReviewedPoint, photo_moves: bool) -> Snapped:
    light = CACHE.light(SAMPLES / f"{FRAME}.jpg", camera)
    return snap(camera, point, photo_moves=photo_moves, light=light, light_map=MAP)


@pytest.mark.parametrize("photo_moves", [True, False])
@pytest.mark.parametrize("index", [1, 2, 4, 5])
def test_a_point_beside_the_truth_comes_to_it(photo_moves: bool, index: int) -> None:
    truth = true_camera(FRAME)
    rough = turned(truth, (0.05, -0.05, 0.05))  # only its shape counts, not where it looks
    start = beside(14.0, -9.0, index)
    found = snapped(rough, start, photo_moves)
    assert found.point is not None
    x, y = truth.lonlat_to_pixel(found.point.lon, found.point.lat)
    assert np.hypot(x - found.point.x, y - found.point.y) < 2.5
    assert found.point.origin == "snap"
    assert found.moved_px == pytest.approx(np.hypot(14.0, 9.0), abs=4.0)
    kept = (start.lon, start.lat) if photo_moves else (start.x, start.y)
    assert kept == (
        (found.point.lon, found.point.lat) if photo_moves else (found.point.x, found.point.y)
    )
    assert found.point.sigma_px is not None
    assert 0.3 < found.point.sigma_px < 3.0


def test_what_photo_and_map_do_not_share_stays_where_it_is() -> None:
    truth = true_camera(FRAME)
    far = beside(0.0, 0.0)
    elsewhere = replace(far, lon=far.lon + 0.6, lat=far.lat + 0.4)
    assert snapped(truth, elsewhere, True).point is None
    hidden = replace(far, lon=20.0, lat=-50.0)
    assert "beyond the horizon" in (snapped(truth, hidden, True).why or "")
    x, y, z = truth.position_ecef_m
    over_africa = replace(truth, position_ecef_m=(-x, -y, z))
    no_map = replace(far, lon=far.lon + 180.0)
    assert "map has nothing" in (snapped(over_africa, no_map, True).why or "")
    outside = replace(far, x=-500.0)
    assert "outside of the photo" in (snapped(truth, outside, True).why or "")


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_piece_around_a_point_has_the_camera_of_the_whole(mirrored: bool) -> None:
    truth = true_camera(FRAME)
    camera = replace(truth, mirrored=mirrored)
    light = CACHE.light(SAMPLES / f"{FRAME}.jpg", truth)
    point = beside(0.0, 0.0)
    cut = cut_out(camera, point, light, 20)
    assert cut is not None
    photo, piece = cut
    whole = light.camera(camera)
    col = round((point.x + 0.5) * light.factor - 0.5)
    row = round((point.y + 0.5) * light.factor - 0.5)
    assert photo[20, 20] == light.values[row, col] * light.weight[row, col]
    for dx, dy in ((0, 0), (7, -5), (-20, 20)):
        of_piece = np.array(piece.pixel_to_lonlat(20 + dx, 20 + dy))
        assert of_piece == pytest.approx(np.array(whole.pixel_to_lonlat(col + dx, row + dy)))


def body(point: ReviewedPoint, **changed: Any) -> dict[str, Any]:
    return {"camera": camera_json(true_camera(FRAME)), "point": vars(point), "moves": "photo"} | (
        changed
    )


def test_over_http_it_is_the_same(client: Browser) -> None:
    answer = client.post(f"/api/frames/{NUMBER}/snap", body(beside(6.0, 3.0))).json()
    assert answer["found"]
    assert answer["moved_px"] == pytest.approx(6.7, abs=2.0)
    assert answer["point"]["origin"] == "snap"
    away = client.post(f"/api/frames/{NUMBER}/snap", body(beside(-9000.0, 0.0))).json()
    assert not away["found"]
    assert away["point"] is None
    assert "outside" in away["why"]
    assert client.post("/api/frames/99/snap", body(beside(0, 0))).status_code == 404
    lost = camera_json(true_camera(FRAME)) | {"position_ecef_m": [0.0, 0.0, 0.0]}
    refused = client.post(f"/api/frames/{NUMBER}/snap", body(beside(0, 0), camera=lost))
    assert refused.status_code == 422
    assert "above the Earth" in refused.json()["detail"]
    fisheye = camera_json(true_camera(FRAME)) | {"focal_px": 1e7}
    refused = client.post(f"/api/frames/{NUMBER}/snap", body(beside(0, 0), camera=fisheye))
    assert refused.status_code == 422
    assert "which no lens has" in refused.json()["detail"]
