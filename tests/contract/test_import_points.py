"""Control points of other programs: scored against our camera, kept as reviewed points."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod, Transformer

from tests.world.exports import (
    decide,
    ecef_of,
    engine_points,
    export,
    nadir_camera,
    nothing_found,
    proposal,
    seen_by,
    work,
    write_store,
)
from tests.world.program import Said, run

BELOW = tuple(ecef_of(136.9, 35.7, -225e3).tolist())
PIXELS = [(60.0, 50.0), (600.0, 60.0), (590.0, 400.0), (50.0, 390.0), (300.0, 200.0)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store to which nothing is to be added."""
    results = [proposal(), proposal("ISS030-E-184141", "review"), nothing_found("ISS001-E-000001")]
    return write_store(tmp_path_factory.mktemp("kept") / "run.h5", results)


@pytest.fixture
def ours(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(kept, tmp_path))


def told(*words: object) -> dict[str, Any]:
    said = run("import", *words, "--json")
    assert said.code == 0, said.err
    (record,) = said.records
    return record


def reviewed(store: Path, out: Path, *words: object) -> pd.DataFrame:
    """What was kept, as exports of reviewed photos tell it."""
    export(store, "csv", out, "--reviewed", "--force", *words)
    return pd.read_csv(out)


def is_as_before(store: Path) -> bool:
    (said,) = export(store, "csv", store.parent / "r.csv", "--reviewed", "--json").records
    return said["frames"] == 0


def qgis_file(path: Path, crs: str, shift_px: float = 0.0, extra: str = "") -> Path:
    """What QGIS writes for a photo of `nadir_camera`."""
    to_map = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    lines = [f"#CRS: {CRS.from_user_input(crs).to_wkt('WKT2_2019')}"]
    lines.append("mapX,mapY,sourceX,sourceY,enable,dX,dY,residual")
    for x, y in PIXELS:
        map_x, map_y = to_map.transform(*map(float, nadir_camera().pixel_to_lonlat(x, y)))
        lines.append(f"{map_x!r},{map_y!r},{x + 0.5 + shift_px},{-(y + 0.5)},1,0,0,0")
    path.write_text("\n".join(lines) + "\n" + extra)
    return path


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32653"])
def test_qgis_points_are_scored_and_kept(ours: Path, tmp_path: Path, crs: str) -> None:
    file = qgis_file(tmp_path / "ISS030-E-184140.JPG.points", crs, 3.0, "0,0,9,-9,0,0,0,0\n")
    record = told(ours, file, "--reviewer", "eva")
    assert record["frame"] == "ISS030-E-184140"
    assert record["count"] == record["right"] == 5
    # Three pixels, each 391.2 km / 1506.1 px
    assert record["rms_px"] == pytest.approx(3.0, abs=1e-3)
    assert record["rms_m"] == pytest.approx(3.0 * 391.2e3 / 1506.1, rel=0.02)
    assert [point["dx_px"] for point in record["points"]] == pytest.approx([3.0] * 5, abs=1e-3)
    points = reviewed(ours, tmp_path / "p.csv")
    assert list(zip(points.x, points.y, strict=True)) == [(x + 3.0, y) for x, y in PIXELS]
    assert set(points.origin) == {"person"}
    (frame,) = reviewed(ours, tmp_path / "f.csv", "--table", "frames").to_dict("records")
    assert (frame["decision"], frame["reviewer"], frame["tags"]) == ("accepted", "eva", "imported")
    # The camera that is kept is that of the points
    camera = replace(
        nadir_camera(),
        focal_px=frame["focal_px"],
        quaternion=tuple(frame[name] for name in ("qx", "qy", "qz", "qw")),
        position_ecef_m=tuple(frame[f"ecef_{axis}_m"] for axis in "xyz"),
    )
    x, y = camera.lonlat_to_pixel(points.lon.to_numpy(), points.lat.to_numpy())
    assert np.hypot(x - points.x, y - points.y).max() < 0.5


@pytest.mark.parametrize("shift_px", [0.0, 3.0])
def test_points_that_only_repeat_our_camera_are_told(
    ours: Path, tmp_path: Path, shift_px: float
) -> None:
    """As they were exported, and nobody moved one."""
    file = qgis_file(tmp_path / "ISS030-E-184140.JPG.points", "EPSG:4326", shift_px)
    said = run("import", ours, file, "--reviewer", "eva", "--confirm")
    repeated = shift_px == 0.0
    assert (said.code, "come from the engine's own camera" in said.err) == (0, repeated)
    (figures,) = run("report", ours, "--json").records
    assert figures["decisions"]["not_independent"]["photos"] == int(repeated)


@pytest.mark.parametrize("form", ["qgis", "csv"])
def test_what_nobody_moved_is_accepted_only_if_that_is_said(
    ours: Path, tmp_path: Path, form: str
) -> None:
    """Exported, moved or not in another program, and back."""
    out = tmp_path / ("q" if form == "qgis" else "q.csv")
    export(ours, form, out, "--verdict", "all", "--where", "frame = 'ISS030-E-184140'")
    (file,) = out.glob("*.points") if form == "qgis" else [out]
    said = run("import", ours, file)
    assert (said.code, "none of its points was moved" in said.err) == (0, True)
    assert is_as_before(ours)
    lines = file.read_text().splitlines()
    at, column = (3, 2) if form == "qgis" else (2, lines[0].split(",").index("x"))
    cells = lines[at].split(",")
    cells[column] = str(float(cells[column]) + 8.0)
    moved = tmp_path / "moved" / file.name
    moved.parent.mkdir()
    moved.write_text("\n".join([*lines[:at], ",".join(cells), *lines[at + 1 :]]) + "\n")
    record = told(ours, moved)
    assert (record["kept"], record["moved"]) == (True, 1)
    assert [one["moved"] for one in record["points"]] == [False, True, False, False]
    assert list(reviewed(ours, tmp_path / "k.csv").origin) == ["engine", "person", *2 * ["engine"]]
    # What stands is not moved, either; points that were looked at are, as they were proposed
    assert told(ours, moved)["kept"] is False
    assert told(ours, file, "--confirm")["kept"] is True
    kept = reviewed(ours, tmp_path / "k.csv")
    assert set(kept.origin) == {"engine"}
    assert list(kept.x) == [point.x for point in proposal().control_points]


def test_a_table_may_hold_many_photos(ours: Path, tmp_path: Path) -> None:
    lon, lat = (float(v) for v in nadir_camera().pixel_to_lonlat(100.0, 100.0))
    rows = [f"{name};101;100;{lon!r};{lat!r};0.5" for name in ("184140", "184141")]
    table = "sep=;\n# by eva, of one night\nPhoto;Column;Row;Longitude;Latitude;sigma_px\n"
    (tmp_path / "p.csv").write_text(table + "\n".join(f"ISS030-E-{row}" for row in rows) + "\n")
    said = run("import", ours, tmp_path / "p.csv", "--reviewer", "eva")
    assert said.code == 0
    frames = [line.split(":")[0] for line in said.out.splitlines()]
    assert frames == ["ISS030-E-184140", "ISS030-E-184141"]
    kept = reviewed(ours, tmp_path / "k.csv")
    assert list(kept.frame) == frames
    assert list(kept.sigma_px) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.points", "h\n1,2,3,4,1\n", "already georeferenced"),
        ("a.points", "#CRS: +proj=longlat +nadgrids=/x\nh\n1,2,3,-4,1\n", "cannot be used"),
        ("a.points", "h\n500000,4000000,3,-4,1\n", "not on Earth"),
        ("a.csv", "x,y,lon,lat\n1,2,3,four\n", "line 2 is not a point"),
        ("a.csv", "x,y,lon,lat,lng\n1,2,10,50,11\n", "'lon', or 'lng', is given twice"),
        ("b.csv", "x,y,lon,lat\n1,2,3,4\n", "has no frame named b"),
        ("a.csv", "frame,x,y,lon,lat\nISS030-E-184140,1e9,2,3,4\n", "do not fit the photo"),
        ("a.csv", "x,y,lon,lat\n1,2,400,50\n", "not on Earth"),
        ("a.csv", "x,y,lon,lat\n1,2,nan,50\n", "not on Earth"),
        ("a.csv", "x,y,lon,lat,residual_px\n1,2,3,4,5\n", "the engine matched these lights"),
        *(
            (
                "a.csv",
                f"frame,x,y,lon,lat,sigma_px\nISS030-E-184140,1,2,3,4,{sigma}\n",
                "not a standard deviation",
            )
            for sigma in ("-1", "0", "1e-300", "1e308", "nan", "inf")
        ),
    ],
)
def test_of_several_files_none_is_kept_where_one_is_wrong(
    kept: Path, tmp_path: Path, name: str, text: str, why: str
) -> None:
    good = qgis_file(tmp_path / "ISS030-E-184140.points", "EPSG:4326")
    (tmp_path / name).write_text(text)
    said = run("import", kept, good, tmp_path / name)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert why in said.err
    assert [path.name for path in kept.parent.iterdir()] == ["run.h5"]


def test_points_of_a_camera_that_no_station_carries_are_refused(ours: Path, tmp_path: Path) -> None:
    file = tmp_path / "ISS030-E-184140.csv"
    file.write_text(
        "x,y,lon,lat\n92,352,137.438,26.575\n606,174,147.248,47.034\n"
        "199,234,122.961,36.452\n271,12,133.817,30.165\n"
    )
    said = run("import", ours, file)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "where no station is" in said.err
    assert is_as_before(ours)


@pytest.mark.parametrize(
    ("camera", "pixel", "why"),
    [
        ({"position_ecef_m": BELOW}, {}, "225 km below the ground"),
        ({"quaternion": (0.0, 0.0, 0.0, 1.0)}, {}, "shows no ground"),
        ({}, {"y": -178.0}, "outside the photo"),
        ({"focal_px": -50.0}, {}, "focal length"),
    ],
)
def test_verify_finds_decisions_that_cannot_be(
    ours: Path, camera: dict[str, Any], pixel: dict[str, float], why: str
) -> None:
    result = proposal()
    done = work(replace(nadir_camera(), **camera), engine_points(result))
    done["points"][1] |= pixel
    decide(ours, 0, result, "accepted", done, "eva")
    said = run("verify", ours, "--json")
    assert said.code == 1
    (problem,) = said.records[0]["problems"]
    assert (problem["code"], problem["frame_index"]) == ("review", [0])
    assert problem["file"].endswith(".review.sqlite")
    assert why in problem["text"]


@example("x,y,lon,lat\r1,2,3,4", "csv")
@given(st.text(max_size=60), st.sampled_from(["points", "vrt", "csv"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_points_or_refused(ours: Path, text: str, ending: str) -> None:
    path = ours.parent / f"ISS030-E-184140.{ending}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    said: Said = run("import", ours, path, "--no-keep", "--json")
    assert said.code in (0, 2)
    assert all(record["count"] for record in said.records)


def test_each_point_is_scored_as_geodesics_and_projections_have_it(tmp_path: Path) -> None:
    """Right within a kilometre, or a hundredth of the footprint where that is more."""
    camera, allowed_m = nadir_camera(tilt_deg=66.0), 1910.0
    result = replace(seen_by(proposal(), camera), footprint_diagonal_km=191.0)
    store = write_store(tmp_path / "tilted.h5", [result])
    wgs84 = Geod(ellps="WGS84")
    off_m = [0.0, allowed_m - 5.0, allowed_m + 5.0, 30e3]
    pixels = [(100.0, 400.0), (500.5, 350.0), (320.0, 300.0), (30.0, 420.0)]
    rows, expected = [], []
    for (x, y), metres in zip(pixels, off_m, strict=True):
        lon, lat, _ = wgs84.fwd(*map(float, camera.pixel_to_lonlat(x, y)), 70.0, metres)
        at_x, at_y = map(float, camera.lonlat_to_pixel(lon, lat))
        rows.append((x, y, lon, lat))
        expected.append((x - at_x, y - at_y, metres, metres <= allowed_m))
    rows.append((300.0, 0.0, *map(float, camera.pixel_to_lonlat(320.0, 300.0))))  # the sky
    file = tmp_path / "ISS030-E-184140.csv"
    file.write_text("x,y,lon,lat\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows))
    record = told(store, file, "--no-keep")
    *points, sky = record["points"]
    for point, row, (dx, dy, metres, is_right) in zip(points, rows, expected, strict=False):
        assert [point[name] for name in ("x", "y", "lon", "lat")] == pytest.approx(list(row))
        assert (point["dx_px"], point["dy_px"]) == pytest.approx((dx, dy), abs=1e-6)
        assert point["residual_px"] == pytest.approx(np.hypot(dx, dy), abs=1e-6)
        assert point["residual_m"] == pytest.approx(metres, abs=0.01)
        assert point["right"] is is_right
    assert (sky["residual_m"], sky["right"]) == (None, None)
    assert sky["dy_px"] == pytest.approx(-300.0, abs=1e-3)
    assert (record["count"], record["right"], record["unseen"]) == (5, 2, 1)
    assert record["rms_m"] == pytest.approx(np.sqrt(np.mean(np.square(off_m))), abs=0.01)
    in_px = [point["residual_px"] for point in record["points"]]
    assert record["rms_px"] == pytest.approx(np.sqrt(np.mean(np.square(in_px))))
    assert record["kept"] is False


def test_points_of_a_frame_without_a_camera_are_kept_and_have_no_scores(
    ours: Path, tmp_path: Path
) -> None:
    file = tmp_path / "ISS001-E-000001.csv"
    file.write_text("x,y,lon,lat\n1,2,185,4\n")
    record = told(ours, file, "--reviewer", "eva")
    assert (record["count"], record["right"], record["unseen"]) == (1, 0, 1)
    assert (record["rms_px"], record["points"][0]["residual_m"]) == (None, None)
    (point,) = reviewed(ours, tmp_path / "k.csv").to_dict("records")
    assert (point["lon"], point["lat"]) == (-175.0, 4.0)
