"""What ``python -m benchmarks sharing`` draws, and how it counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from benchmarks import sharing
from benchmarks.simulate import sample_world
from benchmarks.simulate.camera import wgs84


@pytest.mark.slow
def test_a_sequence_is_one_pass_of_one_wrong_clock(tmp_path: Path) -> None:
    world, seed = sample_world(), 1
    _, shots = sharing.draw_sequence(seed, 2, world)
    assert sorted(bool(shot.difficulty) for shot in shots) == [False, True]
    first, second = (shot.frame for shot in shots)
    apart_s = (second.time_utc - first.time_utc).total_seconds()
    assert 10.0 <= apart_s <= 60.0
    # 7.2 km a second under the station, less what the Earth turns along: at most 0.4
    places = [(shot.camera.lon_deg, shot.camera.lat_deg) for shot in shots]
    flown_m = wgs84().inv(*places[0], *places[1])[2]
    assert 6.8e3 < flown_m / apart_s < 7.2e3

    sequence = sharing.write_sequence(tmp_path / "drawn", seed, 2, world)
    for shot, path, known in zip(shots, sequence.words, sequence.photos, strict=False):
        with Image.open(path) as image:
            said = image.getexif().get_ifd(ExifTags.IFD.Exif)
            picture = np.asarray(image.convert("L"), float)
        clock = datetime.strptime(said[ExifTags.Base.DateTimeOriginal], "%Y:%m:%d %H:%M:%S")
        late = clock.replace(tzinfo=UTC) - shot.frame.time_utc
        assert abs(late - timedelta(seconds=first.clock_error_s)) <= timedelta(seconds=1)
        if shot.difficulty:
            continue
        # An easy frame has a great town in its middle, where it shines, for both cameras
        x, y = (shot.camera.width_px - 1) / 2.0, (shot.camera.height_px - 1) / 2.0
        lon, lat, _ = shot.camera.ground(x, y)
        town = ~world.places.is_road & (world.places.power > 1000.0)
        east, north = world.places.lon[town], world.places.lat[town]
        middle = np.full_like(east, float(lon)), np.full_like(north, float(lat))
        away_m = wgs84().inv(middle[0], middle[1], east, north)[2]
        assert away_m.min() < 500.0
        assert picture[180:220, 280:320].mean() > 2.0 * picture.mean()
        assert known.camera is not None
        assert known.camera.pixel_to_lonlat(x, y) == pytest.approx(
            (float(lon), float(lat)), abs=1e-6
        )


def test_frames_won_and_lost_are_counted() -> None:
    pairs = [("right", "none"), ("right", "wrong"), ("wrong", "right"), ("right", "right")]
    pairs += [("none", "none"), ("right", "none")]
    cells = sharing.count_cells("all", pairs, (12.3, 4.0))
    assert cells == ["all", "6", "5", "3", "4", "2", "1", "1", "3", "1", "12", "4"]
    # Two-sided, of 4 throws of a coin: 2 (1 + 4) / 16
    assert sharing.find_p_value(3, 1) == pytest.approx(0.625)
    assert sharing.find_p_value(0, 6) == pytest.approx(2 / 64)
    assert sharing.find_p_value(0, 0) == 1.0


def test_real_photos_without_truth_are_not_called_right() -> None:
    cells = sharing.count_cells("real", [("accepted", "none"), ("none", "none")], (1.0, 1.0))
    assert cells == ["real", "2", "1", "0", "–", "–", "–", "–", "1", "0", "1", "1"]


def test_real_sequences_have_each_frame_once(tmp_path: Path) -> None:
    rows = [
        "a/unproc_X-1.JPG,two,cities,X-1", "a/x1.jpg,two,cities,X-1", "a/x2.jpg,two,cities,X-2",
        "b/y1.jpg,one,cities_oblique,Y-1", "b/unproc_Y-1.JPG,one,cities_oblique,Y-1",
        "c/z1.jpg,other,aurora,Z-1", "c/z2.jpg,other,aurora,Z-2",
    ]  # fmt: skip
    (tmp_path / "photos").mkdir()
    table = "\n".join(["file,group,category,frame_id", *rows]) + "\n"
    (tmp_path / "photos" / "index.csv").write_text(table, encoding="utf-8")
    (found,) = sharing.list_real_sequences(tmp_path, tmp_path / "lights.tif")
    assert found.name == "two"
    assert [photo.name for photo in found.photos] == ["x1", "x2"]
