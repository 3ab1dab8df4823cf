"""What is told of a photo in words and as a record, each number worked out another way."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pyproj import Transformer

from matchers.geometry.camera import Camera
from regengine import records
from regengine.result import FrameResult
from tests.world.results import nadir_camera, nothing_found, proposal, solved

TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


def words_of(*results: FrameResult) -> list[str]:
    """What is told of each in a line."""
    return [", ".join(records.summary_words(result)) for result in results]


def place_in(text: str, name: str) -> tuple[float, float]:
    """Longitude and latitude of a place such as ``centre 35.18 N 136.91 E``."""
    found = re.search(rf"{name} ([\d.]+) ([NS]) ([\d.]+) ([EW])", text)
    assert found is not None, text
    lat, north, lon, east = found.groups()
    return (1 if east == "E" else -1) * float(lon), (1 if north == "N" else -1) * float(lat)


def seen(camera: Camera, name: str = "ISS030-E-184140") -> FrameResult:
    return replace(proposal(name), solved=solved(camera))


@pytest.mark.parametrize(
    ("lon", "lat"), [(136.9, 35.7), (-74.0, -40.7), (0.0, 0.0), (-179.9, 65.0), (30.2, -0.004)]
)
def test_centre_and_nadir_are_places_with_their_hemispheres(lon: float, lat: float) -> None:
    """The middle of a camera that looks straight down is below it."""
    (text,) = words_of(seen(nadir_camera(lon, lat)))
    for name in ("centre", "nadir"):
        assert place_in(text, name) == pytest.approx((lon, lat), abs=0.0051)
    assert ", 391 km" in text
    assert "off-nadir 0°" in text
    assert "focal length 1506 px" in text


@pytest.mark.parametrize("tilt_deg", [70.5, 73.0, 150.0])
def test_where_the_middle_is_sky_that_is_told(tilt_deg: float) -> None:
    camera = nadir_camera(10.0, 20.0, tilt_deg=tilt_deg)
    turned = replace(camera, principal_point=(250.0, 240.0))
    assert np.isnan(turned.pixel_to_lonlat(319.5, 212.5)).all()
    (text,) = words_of(seen(turned))
    assert "centre sky" in text


@pytest.mark.parametrize(
    ("probability", "low", "high", "words"),
    [
        (0.5, None, None, "0.50"),
        (0.01, 0.0, 0.5, "0.01 (0 to 0.50)"),
        (0.0099, None, 0.3, "0.0099"),
        (0.99, 0.97, 1.0, "0.99 (0.97 to 1)"),
        (0.991, 0.5, 0.99999, "0.9910 (0.50 to >0.9999)"),
        (0.99994, 0.99, 1.0, "0.9999 (0.99 to 1)"),
        (0.99996, 0.9989, 0.99998, ">0.9999 (0.9989 to >0.9999)"),
        (0.00004, 0.00001, 0.5, "<0.0001 (<0.0001 to 0.50)"),
    ],
)
def test_a_probability_has_the_digits_that_tell_it_from_0_and_1(
    probability: float, low: float | None, high: float | None, words: str
) -> None:
    told = {"probability": probability, "probability_low": low, "probability_high": high}
    result = replace(proposal(), **told)
    (text,) = words_of(result)
    found = re.search(r"probability (\S+( \(.*?\))?)", text)
    assert found is not None
    assert found[1].rstrip(",;.") == words


def test_fit_offset_prior_and_orientation_are_told_as_they_are() -> None:
    result = proposal()
    assert result.nadir is not None
    by_lights = replace(result, frame="B", nadir=replace(result.nadir, source="lights"))
    upright = replace(result, frame="C", orientation=1, time_utc=None)
    text, lights, other = words_of(result, by_lights, upright)
    for words in (
        *("correlation 0.71, margin 0.29", "143 matched lights", "residual 0.7 px (160 m)"),
        *("along-track -131.7 s", "prior nadir 35.70 N 136.90 E, 391 km (tle)"),
        "EXIF orientation 6",
    ):
        assert words in text, words
    (assumed,) = words_of(replace(result, sources=(("altitude_km", "assumed"),)))
    assert "prior nadir 35.70 N 136.90 E, 391 km assumed (tle)" in assumed
    assert "along-track" not in lights
    assert "prior nadir" not in lights
    assert "along-track" not in other
    assert "EXIF orientation" not in other


def test_a_record_is_the_result_field_by_field() -> None:
    result = replace(proposal(), seconds=1.23456)
    record, nothing = records.record(result), records.record(nothing_found())
    camera, fit = result.solved, result.fit
    assert camera is not None
    assert fit is not None
    assert record["camera"]["along_track_offset_s"] == camera.along_track_offset_s
    assert record["camera"]["off_nadir_deg"] == camera.off_nadir_deg
    assert record["camera"]["position_ecef_m"] == list(camera.camera.position_ecef_m)
    assert record["camera"]["mirrored"] is False
    assert record["engine"] == {"version": "0.1.0", "lights": "Black Marble 2016", "seconds": 1.235}
    assert record["footprint"] == [list(one) if one else None for one in result.footprint or ()]
    for told, kept in zip(record["hypotheses"], result.hypotheses, strict=True):
        expected: dict[str, Any] = {
            "rank": kept.rank,
            "log10_odds": kept.log10_odds,
            "ncc": kept.ncc,
            "centre": [136.9, 35.7],
            "off_nadir_deg": kept.solved.off_nadir_deg,
            "along_track_offset_s": -131.7,
            "mirrored": False,
        }
        assert told == expected
    for name in ("residual_px", "residual_m", "matched_lights", "ncc", "runner_up_ncc"):
        assert record["fit"][name] == getattr(fit, name)
    assert nothing["camera"] is nothing["fit"] is nothing["footprint"] is None
    assert nothing["image"]["width_px"] == 640
