"""Telephoto frames on streets: placed to metres with a proof, and not on other streets."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from matchers.geometry.camera import Camera
from matchers.geometry.map_grid import MapGrid
from regengine.errors import MapError
from regengine.orbit import position_from_nadir
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.registration import register_on_streets
from regengine.registration.priors import Seen
from regengine.registration.register import register_frame
from regengine.registration.types import Prior, SearchReferences
from regengine.store.result import FrameResult
from tests.world.streets import (
    ALTITUDE_KM,
    FOCAL_MM,
    PITCH_UM,
    Streets,
    draw_city,
    take_aside,
    take_photo,
)


class Nowhere:
    """A map of night lights without any."""

    info = SimpleNamespace(
        bounds=(100.0, 0.0, 101.0, 1.0), resolution_deg=1.0 / 240.0, title="none", paths=()
    )

    def window(self, *_: float) -> MapGrid:
        raise MapError("nothing here", code="outside_map")

    def overview(self, resolution_deg: float) -> MapGrid | None:
        return None


@pytest.fixture(scope="module")
def streets() -> Streets:
    return Streets(density=draw_city(1))


@pytest.fixture(scope="module")
def truth() -> Camera:
    return take_aside()


@pytest.fixture(scope="module")
def photo(truth: Camera, streets: Streets, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return take_photo(tmp_path_factory.mktemp("streets") / "tele.jpg", truth, streets)


PRIOR = Prior(
    position=position_from_nadir(5.2, 45.1, ALTITUDE_KM, "option", sigma_km=(60.0, 60.0, 8.0))
)


def read(photo: Path, focal_mm: float = FOCAL_MM) -> Frame:
    return read_frame(photo, options=FrameOptions(focal_mm=focal_mm, pixel_pitch_um=PITCH_UM))


def on(*streets: Streets) -> SearchReferences:
    """A search on these streets alone."""
    return SearchReferences(light_map=Nowhere(), streets=streets)


def place(photo: Path, *streets: Streets, focal_mm: float = FOCAL_MM) -> FrameResult:
    return register_frame(read(photo, focal_mm), PRIOR, on(*streets))


def errors_m(result: FrameResult, truth: Camera) -> np.ndarray:
    """How far the solved camera is from the true one on the ground, all over the frame."""
    assert result.solved is not None
    x, y = np.meshgrid(
        np.linspace(0, truth.width_px - 1, 9), np.linspace(0, truth.height_px - 1, 9)
    )
    off = result.solved.camera.pixel_to_ecef(x, y) - truth.pixel_to_ecef(x, y)
    return np.linalg.norm(off, axis=-1)


def test_a_telephoto_frame_is_accepted_to_metres(
    photo: Path, streets: Streets, truth: Camera
) -> None:
    placed = place(photo, streets)
    assert placed.verdict == "accepted"
    assert np.median(errors_m(placed, truth)) < 4.0  # a quarter of a pixel
    assert errors_m(placed, truth).max() < 16.0
    assert placed.solved is not None
    assert placed.solved.camera.distortion[0] == pytest.approx(truth.distortion[0], rel=0.3)
    assert len(placed.control_points) == 4
    for point in placed.control_points:
        x, y = truth.lonlat_to_pixel(point.lon, point.lat)
        assert np.hypot(x - point.x, y - point.y) * 16.0 < 4.0 * point.sigma_m
    # It says what it rests on
    sources = dict(placed.sources)
    assert "OpenStreetMap contributors" in sources["reference"]
    assert "held-out patches agree at 25 m" in sources["proof"]
    assert placed.fit is not None
    assert placed.fit.log10_odds >= 6.0
    assert placed.map_title == "streets, © OpenStreetMap contributors (ODbL)"  # as exports name it


@pytest.mark.slow
def test_a_wrong_candidate_does_not_end_the_search(
    photo: Path, streets: Streets, truth: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two cities and a village; what stands out among wrong ones is fitted first."""
    nadir = position_from_nadir(8.2, 45.1, ALTITUDE_KM, "option", sigma_km=(120.0, 120.0, 8.0))
    monkeypatch.setattr(register_on_streets, "CLEAR_LOG10_ODDS", (-1.0, -1.0))
    village = Streets(density=streets.density[:40, :40])
    other = Streets(density=draw_city(3), west=5.4)
    result = register_frame(read(photo), Prior(position=nadir), on(village, other, streets))
    assert result.verdict == "accepted"
    assert np.median(errors_m(result, truth)) < 4.0


@pytest.mark.slow
@pytest.mark.parametrize("other", ["another city", "mirrored"])
def test_other_streets_are_not_accepted(photo: Path, streets: Streets, other: str) -> None:
    density = draw_city(4) if other == "another city" else streets.density[:, ::-1].copy()
    assert place(photo, Streets(density=density)).verdict == "no_match"


def test_without_streets_the_reason_is_how_to_get_them(
    photo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Said before the search, too."""
    with caplog.at_level("INFO", "regengine"):
        result = register_frame(read(photo), PRIOR, SearchReferences(light_map=Nowhere()))
    first = result.reasons[0]
    assert (result.verdict, first.code) == ("no_match", "no_streets")
    command = "regengine maps get CITY --kind streets"
    assert command in first.text
    assert "Paris" in first.text  # of the three brightest from above Lyon
    assert command in caplog.text
    assert "no_agreement" not in {reason.code for reason in result.reasons}


@pytest.mark.parametrize("focal_mm", [None, FOCAL_MM])
def test_with_streets_at_hand_what_is_missing_is_asked_for(
    photo: Path, streets: Streets, focal_mm: float | None
) -> None:
    frame = read_frame(photo, options=FrameOptions(focal_mm=focal_mm, pixel_pitch_um=PITCH_UM))
    result = register_frame(frame, Prior(), on(streets))
    (said,) = (reason.text for reason in result.reasons if reason.code == "no_streets")
    assert "--centre or --nadir" in said
    assert ("--focal-mm" in said) is (focal_mm is None)


def test_a_place_in_the_picture_is_enough(photo: Path, streets: Streets, truth: Camera) -> None:
    middle = truth.pixel_to_lonlat(450.0, 310.0)
    lon, lat = (float(value) for value in middle)
    above = position_from_nadir(lon, lat, ALTITUDE_KM, "centre")
    prior = Prior(position=above, seen=Seen(lon=lon, lat=lat, radius_km=20.0))
    result = register_frame(read(photo), prior, on(streets))
    assert result.verdict == "accepted"
    assert np.median(errors_m(result, truth)) < 8.0
