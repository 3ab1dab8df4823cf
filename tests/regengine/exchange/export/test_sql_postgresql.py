"""SQL for PostgreSQL, loaded by psql into a real server with PostGIS and Q3C."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box

from regengine.exchange.export.footprint import footprint
from regengine.exchange.export.sql.dialects import DIALECTS, number, point_wkt, postgresql_text
from regengine.result import FrameResult, SolvedCamera
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import (
    decide,
    engine_points,
    export,
    work,
    write_store,
)
from tests.regengine.exchange.export.hostile_text import HOSTILE, TEXTS, kept
from tests.regengine.exchange.export.sql_servers import PostgreSql, postgresql

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSql]:
    with postgresql() as running:
        with running.connect() as base:
            base.execute("CREATE DATABASE places TEMPLATE template0")
            base.execute("CREATE EXTENSION postgis")
            base.execute("CREATE EXTENSION q3c")
        yield running


@pytest.fixture
def base(server: PostgreSql) -> str:
    """A database that has nothing of ours; new ones take a second."""
    with server.connect() as base:
        base.execute("DROP SCHEMA IF EXISTS regengine CASCADE")
    return "postgres"


def script(store: Path, out: Path, *arguments: object) -> Path:
    export(store, "sql", out, "--dialect", "postgresql", "--force", *arguments)
    return out


def placed(name: str, lon: float, lat: float, tilt_deg: float = 0.0) -> FrameResult:
    camera = nadir_camera(lon, lat, tilt_deg=tilt_deg)
    solved = SolvedCamera(camera=camera, along_track_offset_s=0.0, off_nadir_deg=tilt_deg)
    points = [
        replace(point, lon=float(there[0]), lat=float(there[1]))
        for point in proposal().control_points
        if np.isfinite(there := camera.pixel_to_lonlat(point.x, point.y)).all()
    ]
    return replace(proposal(name), solved=solved, control_points=tuple(points))


# Over the antimeridian, to the limb, over both poles, and wherever else
PLACES = (
    placed("sea", 179.9, 20.0),
    placed("limb", 10.0, 20.0, 68.0),
    placed("north", 20.0, 89.5),
    placed("south", -100.0, -89.9),
    placed("far sea", -179.95, -51.0, 40.0),
    *(placed(f"at {lon}", float(lon), lon / 4.0, lon % 60) for lon in range(-170, 171, 17)),
)


@pytest.fixture(scope="module")
def places(server: PostgreSql, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of its own with photos all over the world, and one that has no place."""
    folder = tmp_path_factory.mktemp("places")
    store = write_store(folder / "s.h5", [*PLACES, nothing_found()])
    # The script makes the extensions
    server.load("places", script(store, folder / "a.sql", "--verdict", "all"))
    return "places"


def names(rows: list[dict[str, object]]) -> set[object]:
    return {row["frame"] for row in rows}


def test_tables_have_types_comments_units_and_nulls(server: PostgreSql, places: str) -> None:
    columns = server.rows(
        places,
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS kind, "
        "col_description(c.oid, a.attnum) AS says FROM pg_attribute a JOIN pg_class c "
        "ON c.oid = a.attrelid WHERE c.relnamespace = 'regengine'::regnamespace "
        "AND c.relkind = 'r' AND a.attnum > 0",
    )
    assert {column["relname"] for column in columns} == {"frames", "control_points", "sky"}
    assert all(column["says"] for column in columns)
    kinds = {(column["relname"], column["attname"]): column["kind"] for column in columns}
    says = {(column["relname"], column["attname"]): column["says"] for column in columns}
    assert kinds["frames", "footprint"] == "geometry(MultiPolygon,4326)"
    assert kinds["frames", "nadir"] == kinds["control_points", "ground"] == "geography(Point,4326)"
    assert kinds["frames", "time_utc"] == "timestamp with time zone"
    assert kinds["frames", "mirrored"] == "boolean"
    assert kinds["frames", "matched_lights"] == "bigint"
    assert kinds["sky", "ra_deg"] == "double precision"
    assert says["frames", "off_nadir_deg"].endswith("[degrees]")
    assert says["control_points", "sigma_m"].endswith("[m]")
    assert says["control_points", "lon"] == "WGS84 longitude, degrees"
    (row,) = server.rows(places, "SELECT * FROM regengine.frames WHERE frame = 'ISS001-E-1'")
    assert row["verdict"] == "no_match"
    empty = ("footprint", "nadir", "centre", "time_utc", "qx", "sun_elevation_deg", "mirrored")
    assert [row[name] for name in empty] == [None] * len(empty)
    (row,) = server.rows(places, "SELECT * FROM regengine.frames WHERE frame = 'sea'")
    assert row["time_utc"] == datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
    assert (row["mirrored"], row["matched_lights"], row["focal_px"]) == (False, 143, 1506.1)
    found = server.rows(
        places,
        "SELECT x, y, lon, lat, ST_X(ground::geometry) AS e, ST_Y(ground::geometry) AS n "
        "FROM regengine.control_points JOIN regengine.frames USING (photo_key) "
        "WHERE frame = 'sea' ORDER BY point",
    )
    expected = [(p.x, p.y, p.lon, p.lat, p.lon, p.lat) for p in PLACES[0].control_points]
    assert [tuple(row.values()) for row in found] == expected


def test_footprints_are_valid_and_show_what_cameras_see(server: PostgreSql, places: str) -> None:
    rows = server.rows(
        places,
        "SELECT frame, ST_IsValid(footprint) AS valid, ST_NumGeometries(footprint) AS parts, "
        "ST_Area(footprint::geography, true) / 1e6 AS km2 FROM regengine.frames "
        "WHERE footprint IS NOT NULL",
    )
    assert len(rows) == len(PLACES)
    assert all(row["valid"] for row in rows)
    found = {row["frame"]: row for row in rows}
    assert {place.frame: found[place.frame]["parts"] for place in PLACES} == {
        place.frame: len(footprint(place.solved.camera)) for place in PLACES if place.solved
    }
    assert found["sea"]["parts"] == 2
    # The picture's sides are 166.2 and 110.7 km from so high, less a little for the curved Earth;
    # the lens's distortion takes a little, too
    for name in ("sea", "north", "south"):
        assert found[name]["km2"] == pytest.approx(166.2 * 110.7, rel=0.01)
    held = server.rows(
        places,
        "SELECT count(*) AS n FROM regengine.control_points JOIN regengine.frames "
        "USING (photo_key) WHERE NOT ST_Intersects(footprint::geography, ground)",
    )
    assert held == [{"n": 0}]


def test_boxes_find_photos_also_across_the_antimeridian(server: PostgreSql, places: str) -> None:
    def inside(*edges: float) -> set[object]:
        question = "SELECT frame FROM regengine.in_box(%s, %s, %s, %s)"
        return names(server.rows(places, question, *edges))

    assert inside(179, 19, -179, 21) == inside(-179.8, 19, -179, 21) == {"sea"}
    assert inside(175, -60, -175, 60) == {"sea", "far sea"}
    assert "sea" not in inside(-175, 19, 175, 21)
    assert inside(-180, 89.9, 180, 90) == {"north"}
    assert inside(-180, -90, 180, -89.9) == {"south"}
    shown = {
        place.frame: [Polygon(ring) for ring in footprint(place.solved.camera)]
        for place in PLACES
        if place.solved
    }
    for west, south, east, north in ((-175, 29, 175, 30), (100, -60, -100, 20), (9, 0, 90, 60)):
        parts = [(west, east)] if west <= east else [(west, 180), (-180, east)]
        boxes = MultiPolygon([box(start, south, end, north) for start, end in parts])
        expected = {
            frame for frame, rings in shown.items() if any(boxes.intersects(one) for one in rings)
        }
        assert len(expected) > 1
        assert inside(west, south, east, north) == expected
    rows = server.rows(places, "SELECT frame FROM regengine.in_box(-180, -90, 180, 90)")
    assert len(rows) == len(PLACES)
    same = "ST_Intersects(footprint, ST_MakeEnvelope(175, -60, 180, 60, 4326))"
    assert names(server.rows(places, f"SELECT frame FROM regengine.frames WHERE {same}")) == {
        "sea", "far sea",
    }  # fmt: skip
    near = "ST_DWithin({}, ST_Point({}, {})::geography, {})"
    for column, place, km, expected in (
        ("nadir", (-179.9, 20.0), 30, {"sea"}),
        ("nadir", (-179.9, 20.0), 10, set()),
        ("centre", (179.9, 20.0), 1, {"sea"}),
        ("footprint::geography", (-179.3, 20.0), 30, {"sea"}),
    ):
        where = near.format(column, *place, km * 1000)
        assert names(server.rows(places, f"SELECT frame FROM regengine.frames WHERE {where}")) == (
            expected
        ), (column, km)


@pytest.mark.parametrize(
    ("table", "where", "index"),
    [
        ("in_box(170, 2, -170, 4)", "true", "frames_footprint"),
        ("frames", "ST_DWithin(nadir, ST_Point(1, 2)::geography, 9)", "frames_nadir"),
        ("frames", "ST_DWithin(centre, ST_Point(1, 2)::geography, 9)", "frames_centre"),
        (
            "frames",
            "ST_DWithin(footprint::geography, ST_Point(1, 2)::geography, 9)",
            "frames_footprint_geography",
        ),
        (
            "control_points",
            "ST_DWithin(ground, ST_Point(1, 2)::geography, 9)",
            "control_points_ground",
        ),
        ("sky", "q3c_radial_query(ra_deg, dec_deg, 10, 20, 5)", "sky_q3c"),
        ("frames", "frame = 'sea'", "frames_frame"),
    ],
)
def test_questions_are_answered_from_indices(
    server: PostgreSql, places: str, table: str, where: str, index: str
) -> None:
    with server.connect(places) as base:
        base.execute("SET enable_seqscan = off")
        plan = base.execute(f"EXPLAIN SELECT * FROM regengine.{table} WHERE {where}").fetchall()
    assert f" {index} " in "\n".join(line for (line,) in plan) + " "


@pytest.mark.parametrize("radius_deg", [0.5, 15.0, 80.0])
def test_cones_find_what_astropy_finds(server: PostgreSql, places: str, radius_deg: float) -> None:
    rows = server.rows(
        places, "SELECT frame, ra_deg, dec_deg FROM regengine.sky JOIN regengine.frames "
        "USING (photo_key)",
    )  # fmt: skip
    assert len(rows) == len(PLACES)
    at = SkyCoord([row["ra_deg"] for row in rows], [row["dec_deg"] for row in rows], unit="deg")
    for middle in ((0.0, 0.0), (359.9, -51.0), (at[3].ra.deg, at[3].dec.deg), (120.0, 89.9)):
        apart = at.separation(SkyCoord(*middle, unit="deg")).deg
        expected = {row["frame"] for row, far in zip(rows, apart, strict=True) if far < radius_deg}
        found = server.rows(
            places,
            "SELECT frame FROM regengine.sky JOIN regengine.frames USING (photo_key) "
            "WHERE q3c_radial_query(ra_deg, dec_deg, %s, %s, %s)",
            *map(float, (*middle, radius_deg)),
        )
        assert names(found) == expected


IN_SIGHT = """
SELECT frame FROM regengine.sky JOIN regengine.frames USING (photo_key)
WHERE sees_sky AND q3c_radial_query(ra_deg, dec_deg, %s, %s, 40)
  AND q3c_dist(ra_deg, dec_deg, %s, %s) < radius_deg
  AND q3c_dist(earth_ra_deg, earth_dec_deg, %s, %s) > earth_radius_deg
"""


# Of a header without a picture
@pytest.mark.filterwarnings("ignore:The WCS transformation has more axes")
def test_the_sky_is_where_astropy_sees_it(server: PostgreSql, base: str, tmp_path: Path) -> None:
    limb = placed("limb", 136.9, 35.7, 70.0)
    assert limb.solved is not None
    mirrored = replace(limb.solved.camera, mirrored=True, focal_px=900.0)
    limb = replace(limb, solved=replace(limb.solved, camera=mirrored))
    store = write_store(tmp_path / "s.h5", [limb, placed("down", 136.9, 35.7)])
    server.load(base, script(store, tmp_path / "a.sql"))
    export(store, "fits", tmp_path / "o")
    (header,) = (tmp_path / "o").glob("*.wcs")
    sky = WCS(fits.getheader(header))
    (row,) = server.rows(base, "SELECT * FROM regengine.sky WHERE sees_sky")
    middle, above, corner, star, hidden = sky.pixel_to_world(
        [319.5, 319.5, 0.0, 300.0, 300.0], [212.5, 202.5, 0.0, 20.0, 400.0]
    )
    at = SkyCoord(row["ra_deg"], row["dec_deg"], unit="deg")
    assert at.separation(middle) < 2.0 * u.arcsec
    turned = (at.position_angle(above).deg - row["position_angle_deg"] + 180.0) % 360.0 - 180.0
    assert abs(turned) < 0.1
    assert row["radius_deg"] == pytest.approx(at.separation(corner).deg, abs=0.05)
    assert row["earth_radius_deg"] == pytest.approx(70.3, abs=0.3)
    for place, expected in ((star, {"limb"}), (hidden, set())):
        found = server.rows(base, IN_SIGHT, *[float(place.ra.deg), float(place.dec.deg)] * 3)
        assert names(found) == expected


def test_hostile_text_comes_back(server: PostgreSql, base: str, tmp_path: Path) -> None:
    results = [
        replace(proposal(text), path=f"{number}{text}", camera_body=text)
        for number, text in enumerate(HOSTILE)
    ]
    whole = script(write_store(tmp_path / "s.h5", results), tmp_path / "a.sql")
    for setting in ("on", "off"):
        first = f"SET standard_conforming_strings = {setting};\nSET client_encoding = latin1;\n"
        server.load(base, first + whole.read_text(encoding="utf-8"))
        rows = server.rows(base, "SELECT * FROM regengine.frames ORDER BY frame_index")
        assert [row["frame"] for row in rows] == list(HOSTILE)
        assert [row["camera_body"] for row in rows] == list(HOSTILE)
        assert [row["path"] for row in rows] == [f"{n}{text}" for n, text in enumerate(HOSTILE)]


@given(texts=TEXTS, setting=st.sampled_from(["on", "off"]))
@settings(max_examples=25)
def test_any_text_is_quoted(server: PostgreSql, texts: list[str], setting: str) -> None:
    # Through the client, whose own parser has to find the same ends of strings
    first = [
        f"SET standard_conforming_strings = {setting};",
        "SET escape_string_warning = off;",
        "SET client_encoding = 'UTF8';",
    ]
    lines = [f"SELECT encode(convert_to({postgresql_text(t)}, 'UTF8'), 'hex');" for t in texts]
    told = server.load("postgres", "\n".join([*first, *lines]))
    assert told.splitlines() == [kept(text).encode().hex() for text in texts]


@given(st.lists(st.floats(), min_size=1, max_size=50))
@settings(max_examples=25)
def test_any_number_comes_back_to_the_last_bit(server: PostgreSql, values: list[float]) -> None:
    rows = ", ".join(f"({number(value)}::double precision)" for value in values)
    found = [row["column1"] for row in server.rows("postgres", f"VALUES {rows}")]
    assert found == [value if math.isfinite(value) else None for value in values]


@given(st.floats(), st.floats())
@settings(max_examples=50)
def test_any_place_is_on_the_map_or_none(lon: float, lat: float) -> None:
    text = point_wkt((lon, lat))
    assert (text is None) == (not (math.isfinite(lon) and -90.0 <= lat <= 90.0))
    if text is not None:
        east, north = map(float, text[len("POINT(") : -1].split())
        assert -180.0 <= east <= 180.0
        assert north == lat
        assert DIALECTS["postgresql"].literal("point", (lon, lat)) == f"'SRID=4326;{text}'"


def dump(server: PostgreSql, base: str) -> list[list[dict[str, object]]]:
    """All rows but for when they were loaded."""
    tables = []
    for table in ("frames", "control_points", "sky"):
        rows = server.rows(base, f"SELECT * FROM regengine.{table} ORDER BY {table}::text")
        tables.append([{k: v for k, v in row.items() if k != "loaded_at"} for row in rows])
    return tables


def test_loading_again_changes_what_changed_and_nothing_else(
    server: PostgreSql, base: str, tmp_path: Path
) -> None:
    results = [proposal("a"), proposal("b"), nothing_found("c")]
    store = write_store(tmp_path / "s.h5", results)
    first = script(store, tmp_path / "a.sql", "--verdict", "all")
    server.load(base, first)
    before = dump(server, base)
    assert [len(rows) for rows in before] == [3, 8, 2]
    server.load(base, first)
    assert dump(server, base) == before
    # A person moves a point of b and takes two away
    points = engine_points(results[1])[:2]
    points[0] |= {"x": 111.0, "lon": 181.5, "origin": "person"}
    decide(store, 1, results[1], "accepted", work(nadir_camera(tilt_deg=3.0), points), "eva 👩‍🚀")
    server.load(base, script(store, tmp_path / "b.sql", "--verdict", "all"))
    frames, control_points, sky = dump(server, base)
    assert [len(rows) for rows in (frames, control_points, sky)] == [3, 6, 2]
    by_name = {row["frame"]: row for row in frames}
    old = {row["frame"]: row for row in before[0]}
    assert (by_name["a"], by_name["c"]) == (old["a"], old["c"])
    b = by_name["b"]
    assert (b["reviewer"], b["place"], b["comment"], b["quality"]) == (
        "eva 👩‍🚀", "Ōsaka", "=1+1", 4,
    )  # fmt: skip
    assert b["off_nadir_deg"] == pytest.approx(3.0, abs=1e-6)
    found = server.rows(
        base,
        "SELECT x, origin, ST_X(ground::geometry) AS lon FROM regengine.control_points "
        f"WHERE photo_key = '{b['photo_key']}' ORDER BY point",
    )
    assert [row["origin"] for row in found] == ["person", "engine"]
    assert (found[0]["x"], found[0]["lon"]) == (111.0, -178.5)


def test_what_a_later_script_lacks_is_told_by_when_it_was_loaded(
    server: PostgreSql, base: str, tmp_path: Path
) -> None:
    store = write_store(tmp_path / "s.h5", [*map(proposal, "abc")])
    server.load(base, script(store, tmp_path / "a.sql"))
    decide(store, 1, proposal("b"), "rejected", work(None, []), "eva")
    server.load(base, script(store, tmp_path / "b.sql"))
    old = "loaded_at < (SELECT max(loaded_at) FROM regengine.frames)"
    assert names(server.rows(base, f"SELECT frame FROM regengine.frames WHERE {old}")) == {"b"}
    server.load(base, f"DELETE FROM regengine.frames WHERE {old};")
    assert [len(rows) for rows in dump(server, base)] == [2, 8, 2]


def test_the_same_photo_twice_in_a_store_is_one_row(
    server: PostgreSql, base: str, tmp_path: Path
) -> None:
    photo = proposal("a")
    moved = replace(photo, path="elsewhere/a.jpg", control_points=photo.control_points[:3])
    unreadable = [replace(nothing_found("x"), sha256="", path=f"{n}/x.jpg") for n in range(2)]
    store = write_store(tmp_path / "s.h5", [photo, moved, *unreadable])
    server.load(base, script(store, tmp_path / "a.sql", "--verdict", "all"))
    rows = server.rows(base, "SELECT path FROM regengine.frames ORDER BY path")
    assert [row["path"] for row in rows] == ["0/x.jpg", "1/x.jpg", "elsewhere/a.jpg"]
    assert len(dump(server, base)[1]) == 3


def test_a_script_that_breaks_off_changes_nothing(
    server: PostgreSql, base: str, tmp_path: Path
) -> None:
    whole = script(write_store(tmp_path / "s.h5", [proposal("a")]), tmp_path / "a.sql")
    text = whole.read_text(encoding="utf-8")
    there = "SELECT to_regnamespace('regengine') AS there"
    assert "no_such" in server.load(base, text.replace("COMMIT;", "SELECT no_such;"), expect=3)
    server.load(base, text.replace("COMMIT;", ""))  # the file's end is missing
    assert server.rows(base, there) == [{"there": None}]
    server.load(base, text)
    assert len(dump(server, base)[0]) == 1
