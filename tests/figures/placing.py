"""Photos placed on the map: told where, blind, by streets, by day, and not at all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.demo import TRUTH
from benchmarks.rows import read_csv
from regengine import open_light_map
from regengine.maps.opening import street_maps_of
from regengine.orbit import position_from_nadir
from regengine.photo.frame import FrameOptions, read_frame
from regengine.registration.register import register_frame
from regengine.registration.register_on_day import register_on_day
from regengine.registration.types import Prior, SearchReferences
from tests.figures.summary import read_lines, read_picture, read_records, read_store
from tests.world import by_day, streets
from tests.world.program import run
from tests.world.runs import ELEMENTS, LIGHTS, SAMPLES
from tests.world.samples import camera_of, true_camera

QUIET = ("--workers", 0)
MAX_SIGMAS = 4.0  # of 30 coordinates one in 500 lies farther off


def _register(
    folder: Path, photos: list[Path], *words: object, lights: Path | None = LIGHTS
) -> dict[str, Any]:
    """What registration says and stores of photos, and its overlays."""
    given = () if lights is None else ("--lights", lights)
    store, drawn = folder / "run.h5", folder / "drawn"
    out = ("--store", store, "--overlay", drawn, "--json")
    said = run("register", *photos, *given, *words, *out, *QUIET)
    assert said.code == 0, said.err
    pictures = {path.name.split(".")[0]: read_picture(path) for path in sorted(drawn.glob("*.png"))}
    records = read_records(said.out)
    for record in records:
        _hold_to_truth(record)
    return {
        "verdicts": [" ".join((one["verdict"], *one["reasons"])) for one in records],
        "said": records[0],
        "store": read_store(store),
        "drawn": pictures,
        "told": read_lines(said.err),
    }


def _hold_to_truth(record: dict[str, Any]) -> None:
    """What is accepted lies within sigmas of the truth, whatever was recorded of it.

    Of a sample by the camera that it was drawn with; of a packaged photo, by places seen on a finer
    map or picked by eye.
    """
    name, points = Path(record["path"]).stem, record["control_points"]
    if record["verdict"] != "accepted":
        return
    sigma_px = max(point["sigma_px"] for point in points)
    if (SAMPLES / "truth" / f"{name}.json").exists():
        camera = true_camera(name)
        for point in points:
            x, y = camera.lonlat_to_pixel(point["lon"], point["lat"])
            assert math.hypot(x - point["x"], y - point["y"]) <= MAX_SIGMAS * sigma_px, name
    if known := [row for row in read_csv(TRUTH) if row["frame"] == name]:
        x, y, lon, lat = (
            np.array([float(row[k]) for row in known]) for k in ("x", "y", "lon", "lat")
        )
        size = {key: record["image"][key] for key in ("width_px", "height_px")}
        seen_x, seen_y = camera_of(record["camera"] | size).lonlat_to_pixel(lon, lat)
        # A median of n places that are picked to 2 px each
        by_eye_px = 0.0 if known[0]["source"].startswith("camera") else 2.5 / math.sqrt(len(known))
        away_px = np.median(np.hypot(seen_x - x, seen_y - y))
        assert away_px <= MAX_SIGMAS * math.hypot(sigma_px, by_eye_px), name


def _samples(*numbers: int) -> list[Path]:
    return [SAMPLES / f"ISS990-E-000{number}.jpg" for number in numbers]


def placed_by_time(tmp_path: Path) -> Any:
    return _register(tmp_path, _samples(101), "--tle", ELEMENTS)


def placed_with_neighbours(tmp_path: Path) -> Any:
    return _register(tmp_path, _samples(104, 105), "--tle", ELEMENTS, "--clock-window", 300)


def placed_at_a_nadir(tmp_path: Path) -> Any:
    words = ("--nadir", "-148.41,36.09", "--altitude-km", 418, "--effort", "quick", "--no-stars")
    once = _register(tmp_path, _samples(106), *words)
    asked = (*words, "--lights", LIGHTS, "--store", tmp_path / "run.h5", "--overlay", tmp_path)
    later = run("register", *_samples(106), *asked, *QUIET)
    (drawn,) = tmp_path.glob("*.png")
    return once | {
        "later": {"told": read_lines(later.err), "drawn": {"again": read_picture(drawn)}}
    }


def placed_real(tmp_path: Path) -> Any:
    names = ("ISS029-E-34192", "ISS053-E-13244", "ISS031-E-151873")
    return _register(tmp_path, [SAMPLES / "photos" / f"{name}.jpg" for name in names], lights=None)


def placed_blind(tmp_path: Path) -> Any:
    words = ("--blind", "always", "--effort", "quick")
    return _register(tmp_path, _samples(103), *words)


def placed_on_streets(tmp_path: Path) -> Any:
    city = streets.Streets(density=streets.draw_city(1))
    photo = streets.take_photo(tmp_path / "tele.jpg", streets.take_aside(), city)
    extract, built = streets.write_streets(tmp_path / "city.geojson", 1), tmp_path / "city.tif"
    dated = ("--product", "roads", "--date", "2026-01-01", "--quiet")
    said = run("maps", "build", "--kind", "streets", extract, "--out", built, *dated)
    assert said.code == 0, said.err
    known = FrameOptions(focal_mm=streets.FOCAL_MM, pixel_pitch_um=streets.PITCH_UM)
    nadir = position_from_nadir(
        5.2, 45.1, streets.ALTITUDE_KM, "option", sigma_km=(60.0, 60.0, 8.0)
    )
    maps = SearchReferences(light_map=open_light_map([LIGHTS]), streets=street_maps_of((built,)))
    placed = register_frame(read_frame(photo, options=known), Prior(position=nadir), maps)
    told = run("maps", "info", "--kind", "streets", built, "--json")
    unknown = register_frame(read_frame(photo), Prior(position=nadir), maps)
    advice = [reason.text for reason in unknown.reasons]
    return {"placed": placed, "map": read_records(told.out), "without_a_lens": advice}


def placed_by_day(tmp_path: Path) -> Any:
    photo = by_day.take_photo(by_day.stand_beside(), tmp_path / "day.jpg")
    by_day.write_map(by_day.draw_earth(1), tmp_path / "earth.tif")
    focal_mm = 1e-3 * by_day.PITCH_UM * by_day.FOCAL_PX
    lens = ("--focal-mm", focal_mm, "--pixel-pitch-um", by_day.PITCH_UM)
    place = ("--nadir", "16.0,39.5", "--altitude-km", by_day.ALTITUDE_KM, "--any-category")
    return _register(tmp_path, [photo], *lens, *place, "--day", tmp_path / "earth.tif")


def placed_by_day_from_afar(tmp_path: Path) -> Any:
    photo = by_day.take_far_photo(by_day.look_aside(), tmp_path / "far.jpg")
    land = by_day.write_map(by_day.draw_earth(4), tmp_path / "fine.tif", by_day.FINE_DEG)
    nadir = position_from_nadir(7.62, 43.72, by_day.ALTITUDE_KM, "option", sigma_km=(5, 5, 2))
    known = FrameOptions(focal_mm=by_day.FAR_MM)
    return register_on_day(read_frame(photo, options=known), Prior(position=nadir), land)


def refused(scenes: Path, tmp_path: Path) -> Any:
    stars = SAMPLES / "photos" / "ISS043-E-298868.jpg"
    return _register(tmp_path, [scenes / "kinds" / "day_0.jpg", stars], "--effort", "quick")
