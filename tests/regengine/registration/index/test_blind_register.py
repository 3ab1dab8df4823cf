"""Photos whose truth is known, placed by their lights alone; and those that must not be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from matchers.camera import Camera
from matchers.earth import great_circle_km
from regengine.commands import app
from regengine.io.checksums import fingerprint
from regengine.lights.map import LightMap
from regengine.photo.frame import FrameOptions, read_frame
from regengine.registration.index.earth import EarthIndex
from regengine.registration.register import register_frame
from regengine.registration.search import RegisterParams, SearchAids
from regengine.result import FrameResult
from regengine.store.snapshot import read_store
from tests.regengine.registration.index.conftest import LIGHTS, SAMPLES

STEEP, LIMB = "ISS990-E-000103", "ISS990-E-000106"
PARAMETERS = RegisterParams(most_work=20.0)


def placed(
    photo: Path,
    light_map: LightMap,
    index: EarthIndex,
    parameters: RegisterParams = PARAMETERS,
    **options: float,
) -> FrameResult:
    frame = read_frame(photo, options=FrameOptions(**options))
    return register_frame(frame, None, light_map, parameters, SearchAids(index=index))


def worst_km(camera: Camera, name: str, mirrored: bool = False) -> float:
    """How far a camera has the sample's known places from where they are."""
    truth = json.loads((SAMPLES / "truth" / f"{name}.json").read_text())
    points = truth["reference_points"]
    x = np.array([point["x"] for point in points])
    y = np.array([point["y"] for point in points])
    x = camera.width_px - 1 - x if mirrored else x
    lon, lat = camera.pixel_to_lonlat(x, y)
    away = great_circle_km(
        lon, lat, np.array([p["lon"] for p in points]), np.array([p["lat"] for p in points])
    )
    return float(np.max(away))


@pytest.mark.slow
def test_a_photo_of_the_limb_is_placed_without_time_and_orbit(
    light_map: LightMap, index: EarthIndex
) -> None:
    result = placed(SAMPLES / f"{LIMB}.jpg", light_map, index)
    assert result.verdict == "accepted"
    assert result.nadir is not None
    assert result.nadir.source == "lights"
    assert result.solved is not None
    assert worst_km(result.solved.camera, LIMB) < 5.0


@pytest.mark.slow
def test_a_mirrored_photo_is_known_as_one(
    light_map: LightMap, index: EarthIndex, tmp_path: Path
) -> None:
    photo = tmp_path / "mirrored.jpg"
    picture = cv2.imread(str(SAMPLES / f"{STEEP}.jpg"))
    cv2.imwrite(str(photo), picture[:, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])
    truth = json.loads((SAMPLES / "truth" / f"{STEEP}.json").read_text())
    known = read_frame(SAMPLES / f"{STEEP}.jpg")
    assert truth["reference_points"]
    assert known.focal_mm is not None
    assert known.pixel_pitch_um is not None
    about = index.within((-161.0, 26.0, -145.0, 42.0))
    result = placed(
        photo, light_map, about, focal_mm=known.focal_mm, pixel_pitch_um=known.pixel_pitch_um
    )
    assert result.verdict == "accepted"
    assert result.solved is not None
    assert result.solved.camera.mirrored
    assert worst_km(result.solved.camera, STEEP, mirrored=True) < 5.0


@pytest.mark.slow
def test_elsewhere_is_no_answer(light_map: LightMap, index: EarthIndex) -> None:
    """Held against the towns of another region, the photo is placed nowhere."""
    away = index.within((-162.0, 41.0, -138.0, 50.0))
    few = replace(PARAMETERS, most_work=0.5)
    result = placed(SAMPLES / f"{STEEP}.jpg", light_map, away, parameters=few)
    assert result.verdict in ("no_match", "review")
    assert result.solved is None or worst_km(result.solved.camera, STEEP) < 5.0


@pytest.mark.parametrize("lights", [0, 4])
def test_too_few_lights_are_no_match(
    lights: int, light_map: LightMap, index: EarthIndex, tmp_path: Path
) -> None:
    rng = np.random.default_rng(lights)
    picture = rng.normal(8.0, 1.5, (400, 600, 3))
    for x, y in rng.uniform(40, 360, (lights, 2)):
        cv2.circle(picture, (int(x), int(y)), 3, (230.0, 220.0, 200.0), -1)
    photo = tmp_path / "dark.png"
    cv2.imwrite(str(photo), np.clip(picture, 0, 255).astype(np.uint8))
    few = replace(PARAMETERS, most_work=0.5, any_category=True)
    result = placed(photo, light_map, index, parameters=few, focal_mm=50.0)
    assert result.verdict == "no_match"
    assert [reason.code for reason in result.reasons] == ["few_lights"]
    assert f"only {lights} lit places" in result.reasons[0].text


@pytest.mark.slow
def test_the_command_falls_back_to_lights_where_nothing_is_known(
    index_path: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "found.png"  # no EXIF, and no frame id in its name
    cv2.imwrite(str(photo), cv2.imread(str(SAMPLES / f"{STEEP}.jpg")))
    known = read_frame(SAMPLES / f"{STEEP}.jpg")
    store = tmp_path / "run.h5"
    told = ["--focal-mm", str(known.focal_mm), "--pixel-pitch-um", str(known.pixel_pitch_um)]
    common = ["register", str(photo), "--lights", str(LIGHTS), "--store", str(store), *told]
    never = ["--blind", "never", "--workers", "0", "--any-category"]
    run = CliRunner().invoke(app, [*common, *never])
    assert run.exit_code == 3, run.output
    assert next(iter(read_store(store))).result.reasons[0].code == "no_ephemeris"
    auto = ["--index", str(index_path), "--workers", "0", "--any-category"]
    run = CliRunner().invoke(app, [*common, *auto, "--dry-run"])
    assert "anywhere on Earth, by its lights" in run.output
    run = CliRunner().invoke(app, [*common, *auto])
    assert run.exit_code == 0, run.output
    (stored,) = read_store(store)  # other settings: done again
    assert stored.result.verdict == "accepted"
    assert stored.result.solved is not None
    assert worst_km(stored.result.solved.camera, STEEP) < 5.0
    assert json.loads(stored.parameters)["blind"]["index"] == fingerprint(index_path)
