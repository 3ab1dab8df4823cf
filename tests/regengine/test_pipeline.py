"""One photo from file to result, and what stands in its way."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regengine import pipeline
from regengine.batch.register import parameters_of
from regengine.errors import ConfigError, EphemerisError, FrameError, LightMapError
from regengine.io.checksums import EDGE_BYTES, fingerprint
from regengine.photo.frame import FrameOptions
from regengine.pipeline import RunInputs, process_photo
from regengine.registration.index.options import BlindOptions
from regengine.registration.search import RegisterParams, SearchAids
from regengine.result import FrameResult
from regengine.scene.classify import (
    ClassifyInputs,
    SceneForSearch,
    classify_photo,
    combine_for_search,
)
from regengine.scene.model import SceneAnswer
from tests.conftest import ROOT
from tests.example_results import proposal

SAMPLES = ROOT / "data_samples"
NEVER = BlindOptions(mode="never")
INPUTS = RunInputs(lights=(SAMPLES / "lights.tif",), tle=SAMPLES / "tle.txt")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "iss990e000001.jpg"
    noise = np.random.default_rng(1).integers(0, 30, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def fake_register(*args: object) -> FrameResult:
    return replace(proposal(), lights="")


def scene_of(**probabilities: float) -> SceneForSearch:
    category = max(probabilities, key=lambda name: probabilities[name])
    answer = SceneAnswer(category=category, probabilities=probabilities, also=(), explained=True)
    return combine_for_search(answer, answer, night=False)


def test_a_photo_without_time_and_place_is_no_match(photo: Path) -> None:
    result = process_photo(photo, replace(INPUTS, blind=NEVER))
    assert result.verdict == "no_match"
    assert [reason.code for reason in result.reasons] == ["no_ephemeris"]
    assert (result.frame, result.width_px, result.height_px) == ("ISS990-E-1", 120, 90)
    assert len(result.sha256) == 64
    assert result.nadir is None
    assert result.seconds > 0


def test_a_photo_not_worth_a_search_costs_no_index(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "regengine.pipeline.assess_for_search", lambda *_: scene_of(day=0.9, cities=0.01)
    )
    monkeypatch.setattr(pipeline, "earth_index", lambda *_: pytest.fail("the index was read"))
    (reason,) = process_photo(photo, INPUTS).reasons
    assert reason.code == "not_a_night_city_frame"


@pytest.mark.parametrize(("cities", "may_show"), [(0.05, False), (0.2, True)])
def test_a_search_is_told_whether_the_photo_may_show_cities(
    photo: Path, monkeypatch: pytest.MonkeyPatch, cities: float, may_show: bool
) -> None:
    scene = scene_of(cities=cities, night_nocity=1.0 - cities)
    given: list[SearchAids] = []

    def register(*args: Any) -> FrameResult:
        given.append(args[4])
        return fake_register()

    monkeypatch.setattr("regengine.pipeline.assess_for_search", lambda *_: scene)
    monkeypatch.setattr(pipeline, "register_frame", register)
    inputs = replace(INPUTS, frame=FrameOptions(nadir=(10.0, 45.0), altitude_km=400.0))
    process_photo(photo, inputs)
    assert [aids.cities for aids in given] == [may_show]


def test_the_class_of_a_result_is_the_one_that_classify_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "register_frame", fake_register)
    path = SAMPLES / "ISS990-E-000101.jpg"
    result = process_photo(path, INPUTS)
    told = classify_photo(path, ClassifyInputs(tle=INPUTS.tle))
    assert told.ephemeris is not None
    assert (result.category, result.category_probability) == (
        told.category,
        told.probabilities[told.category],
    )
    placeless = classify_photo(path, ClassifyInputs())
    assert placeless.probabilities[told.category] != result.category_probability


def test_a_time_far_from_every_element_set_is_no_match(photo: Path) -> None:
    late = FrameOptions(time_utc=datetime(2031, 1, 1, tzinfo=UTC))
    result = process_photo(photo, replace(INPUTS, frame=late, blind=NEVER))
    assert [reason.code for reason in result.reasons] == ["no_ephemeris"]
    assert "2031-01-01" in result.reasons[0].text
    assert result.time_utc == "2031-01-01T00:00:00Z"


def test_a_map_of_another_region_is_no_match(photo: Path) -> None:
    elsewhere = FrameOptions(nadir=(10.0, 45.0), altitude_km=400.0, focal_mm=50.0)
    result = process_photo(photo, replace(INPUTS, frame=elsewhere))
    assert result.verdict == "no_match"
    assert [reason.code for reason in result.reasons] == ["outside_map"]
    assert result.nadir is not None
    assert result.nadir.source == "option"


@pytest.mark.parametrize("content", [b"", b"this is text", b"\xff\xd8\xff\xe0 cut off"])
def test_a_file_that_is_no_image_raises_one_sentence(photo: Path, content: bytes) -> None:
    photo.write_bytes(content)
    with pytest.raises(FrameError, match="iss990e000001"):
        process_photo(photo, INPUTS)


def test_unusable_inputs_are_told_before_any_photo(tmp_path: Path) -> None:
    with pytest.raises(LightMapError, match=r"gone\.tif"):
        replace(INPUTS, lights=(tmp_path / "gone.tif",)).open()
    with pytest.raises(EphemerisError, match=r"gone\.txt"):
        replace(INPUTS, tle=tmp_path / "gone.txt").open()


def test_a_damaged_map_is_a_failure(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = replace(INPUTS, frame=FrameOptions(nadir=(10.0, 45.0), altitude_km=400.0))

    def register(*args: object) -> FrameResult:
        raise LightMapError("the tile is cut off")

    monkeypatch.setattr(pipeline, "register_frame", register)
    with pytest.raises(LightMapError, match="cut off"):
        process_photo(photo, inputs)


def test_maps_without_a_product_go_by_their_file(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "register_frame", fake_register)
    inputs = replace(INPUTS, frame=FrameOptions(nadir=(10.0, 45.0), altitude_km=400.0))
    assert process_photo(photo, inputs).lights == "lights.tif"


def test_an_overlay_is_drawn_where_wanted(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "register_frame", fake_register)
    inputs = replace(
        INPUTS,
        frame=FrameOptions(nadir=(10.0, 45.0), altitude_km=400.0),
        overlays=tmp_path / "overlays",
    )
    process_photo(photo, inputs)
    assert [p.name for p in (tmp_path / "overlays").iterdir()] == ["ISS030-E-184140.overlay.png"]


def test_a_failed_overlay_costs_no_result(
    photo: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    logging.getLogger("regengine").propagate = True
    result = process_photo(photo, replace(INPUTS, overlays=tmp_path / "file", blind=NEVER))
    assert result.verdict == "no_match"
    assert "no overlay of" in caplog.text


def test_settings_that_matter_change_the_hash_and_places_do_not(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    for source in (SAMPLES / "lights.tif", SAMPLES / "tle.txt"):
        (copies / source.name).write_bytes(source.read_bytes())
    moved = replace(INPUTS, lights=(copies / "lights.tif",), tle=copies / "tle.txt")
    text, sha256 = parameters_of(INPUTS)
    elsewhere, same = parameters_of(moved)
    assert same == sha256
    assert elsewhere.replace(str(copies), str(SAMPLES)) == text
    assert parameters_of(replace(moved, overlays=tmp_path)) == (elsewhere, sha256)
    assert json.loads(text)["lights"][0]["name"] == "lights.tif"
    (copies / "tle.txt").write_text("something else")
    others = [
        moved,
        replace(INPUTS, tle=None),
        replace(INPUTS, share=False),
        replace(INPUTS, metadata=copies / "tle.txt"),
        replace(INPUTS, register=RegisterParams(clock_window_s=60.0)),
        replace(INPUTS, frame=FrameOptions(time_utc=datetime(2014, 1, 1, tzinfo=UTC))),
    ]
    hashes = {parameters_of(other)[1] for other in others}
    assert len(hashes | {sha256}) == len(others) + 1


def test_fingerprints_tell_files_and_folders_apart(tmp_path: Path) -> None:
    file = tmp_path / "map.tif"
    seen = set()
    for content in (b"", b"a", b"b" * (3 * EDGE_BYTES), b"b" * (3 * EDGE_BYTES - 1) + b"c"):
        file.write_bytes(content)
        seen |= {fingerprint(file), fingerprint(tmp_path)}
    file.rename(tmp_path / "other.tif")
    seen.add(fingerprint(tmp_path))
    assert len(seen) == 4 + 3 + 1  # the folder shows names and sizes alone


def test_a_large_map_without_an_index_is_told_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("regengine.pipeline.earth_index", lambda *_: None)
    with pytest.raises(ConfigError, match="make it once with regengine lights index"):
        replace(INPUTS, blind=BlindOptions(mode="always")).open()
    replace(INPUTS, blind=BlindOptions(mode="auto")).open()
