"""SQL for database servers, loaded by their own clients into real ones, and asked there."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import GCRS, ITRS, CartesianRepresentation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given, settings
from PIL import Image
from scipy.spatial.transform import Rotation
from shapely import box
from shapely.geometry import shape

from matchers.geometry.earth import local_axes
from tests.world.exports import (
    decide,
    engine_points,
    export,
    nadir_camera,
    nothing_found,
    proposal,
    seen_by,
    work,
    write_store,
)
from tests.world.hostile_text import HOSTILE, TEXTS, kept
from tests.world.sql_servers import MariaDb, PostgreSql, mariadb, postgresql

pytestmark = pytest.mark.server

# The record that NightISS keeps; a field may need several columns
RECORD = """classification_id issnight_id image_id nadir_jsc_lon nadir_jsc_lat nadir_time_lon
nadir_time_lat country place orientation comments link author quality lens focal_mm camera
aperture_f iso classified_by_jsc other_references tilt_deg tags sun_elevation_deg gmt"""
MODES = (
    "",
    "NO_BACKSLASH_ESCAPES",
    "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT",
    "ORACLE",
    "TRADITIONAL",
)
ALL = ("--verdict", "all")
EXTREMES = (5e-324, 2.2250738585072014e-308, 0.1 + 0.2, 1 / 3, 1e22, 1.7976931348623157e308)


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaDb]:
    with mariadb() as running:
        yield running


@pytest.fixture(scope="module")
def new_base(maria: MariaDb) -> Callable[[], str]:
    """Makes databases, which know other letters than scripts write."""
    numbers = itertools.count()

    def make() -> str:
        name = f"base{next(numbers)}"
        maria.load("", f"CREATE DATABASE {name} CHARACTER SET latin1;")
        return name

    return make


@pytest.fixture
def base(new_base: Callable[[], str]) -> str:
    return new_base()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgreSql]:
    with postgresql() as running:
        with running.connect() as base:
            base.execute("CREATE DATABASE places TEMPLATE template0")
            base.execute("CREATE EXTENSION postgis")
            base.execute("CREATE EXTENSION q3c")
        yield running


@pytest.fixture
def schema(postgres: PostgreSql) -> str:
    """A database that has nothing of ours; new ones take a second."""
    with postgres.connect() as base:
        base.execute("DROP SCHEMA IF EXISTS regengine CASCADE")
    return "postgres"


def script(store: Path, out: Path, dialect: str, *words: object) -> Path:
    export(store, "sql", out, "--dialect", dialect, "--force", *words)
    return out


def images(server: MariaDb, base: str) -> list[dict[str, Any]]:
    return server.rows(base, "SELECT * FROM imagenesISS ORDER BY image_id, path")


# MySQL -------------------------------------------------------------------------------------------


def test_a_photo_has_the_record_of_nightiss(maria: MariaDb, base: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "NIKON D3S"
    exif.get_ifd(0x8769).update({0x829D: 2.8, 0x8827: 12800, 0xA434: "85.0 mm f/1.4"})
    Image.new("RGB", (64, 43)).save(tmp_path / "photo.jpg", exif=exif)
    # Above Nagoya, leaning north; 15:46 UTC is after midnight there
    leaning = nadir_camera(136.9, 35.1, tilt_deg=30.0)
    photo = seen_by(replace(proposal(), path=str(tmp_path / "photo.jpg")), leaning)
    assert photo.nadir is not None
    recorded = replace(proposal("espana"), nadir=replace(photo.nadir, source="record"))
    store = write_store(tmp_path / "s.h5", [photo, recorded, nothing_found()])
    maria.load(base, script(store, tmp_path / "a.sql", "mysql", *ALL))
    columns = maria.rows(
        base,
        "SELECT column_name AS name, data_type AS kind, column_comment AS says "
        "FROM information_schema.columns WHERE table_name = 'imagenesISS' "
        f"AND table_schema = '{base}'",
    )
    comments = {column["name"]: column["says"] for column in columns}
    assert set(RECORD.split()) <= set(comments)
    assert all(comments.values())
    assert comments["tilt_deg"].endswith("[degrees]")
    kinds = {column["name"]: column["kind"] for column in columns}
    assert [kinds[name] for name in ("gmt", "iso", "quality")] == ["datetime", "double", "bigint"]
    other, nothing, ours = images(maria, base)
    assert ours["image_id"] == "ISS030-E-184140"
    assert ours["link"] == (
        "https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?mission=ISS030&roll=E&frame=184140"
    )
    assert ours["gmt"] == datetime(2012, 3, 28, 15, 46, 41)
    assert ours["tilt_deg"] == pytest.approx(30.0)
    assert ours["orientation"] == "north up, looking north"
    assert (ours["lens"], ours["aperture_f"], ours["iso"]) == ("85.0 mm f/1.4", 2.8, 12800.0)
    assert (ours["camera"], ours["focal_mm"]) == ("NIKON D3S", 85.0)
    assert (ours["nadir_time_lon"], ours["nadir_time_lat"]) == (136.9, 35.7)
    assert (ours["nadir_jsc_lon"], ours["nadir_jsc_lat"]) == (None, None)
    assert (other["nadir_jsc_lon"], other["nadir_time_lon"], other["link"]) == (136.9, None, None)
    assert (ours["country"], ours["author"]) == ("Japan", "regengine 0.1.0")
    # The Sun stands as far below the horizon as noon is away: declination 3, latitude 35
    assert -55.0 < ours["sun_elevation_deg"] < -45.0
    empty = ("gmt", "tilt_deg", "orientation", "place", "author", "ra_deg", "footprint_wkt")
    assert [nothing[name] for name in empty] == [None] * len(empty)
    points = maria.rows(
        base,
        f"SELECT * FROM imagenesISS_points WHERE photo_key = '{ours['photo_key']}' ORDER BY point",
    )
    assert [(p["x"], p["y"], p["lon"], p["lat"]) for p in points] == [
        (p.x, p.y, p.lon, p.lat) for p in photo.control_points
    ]


@pytest.mark.parametrize("mode", MODES)
def test_hostile_text_comes_back_under_any_mode_of_mysql(
    maria: MariaDb, base: str, mode: str, tmp_path: Path
) -> None:
    results = [
        replace(proposal(text), path=f"{number}{text}", camera_body=text)
        for number, text in enumerate(HOSTILE)
    ]
    whole = script(write_store(tmp_path / "s.h5", results), tmp_path / "a.sql", "mysql")
    once = (f"--init-command=SET SESSION sql_mode='{mode}'", "--default-character-set=latin1")
    for _ in range(2):
        maria.load(base, whole, *once)
    rows = maria.rows(base, "SELECT * FROM imagenesISS ORDER BY frame_index")
    assert [row["image_id"] for row in rows] == [row["camera"] for row in rows] == list(HOSTILE)
    assert [row["path"] for row in rows] == [f"{n}{text}" for n, text in enumerate(HOSTILE)]
    # The session has its own mode again
    ask = "SELECT @@SESSION.sql_mode, @@character_set_client;"
    told = maria.load(base, whole.read_text(encoding="utf-8") + ask, *once, "--skip-column-names")
    assert told == maria.load(base, ask, *once, "--skip-column-names")


@given(texts=TEXTS)
@settings(max_examples=8)
def test_any_text_comes_back_from_both(
    maria: MariaDb,
    postgres: PostgreSql,
    new_base: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
) -> None:
    folder, base = tmp_path_factory.mktemp("texts"), new_base()
    texts = [text.replace("\0", "") for text in texts]  # a store holds none
    results = [replace(proposal(f"f{n}"), category=text or None) for n, text in enumerate(texts)]
    store = write_store(folder / "s.h5", results)
    expected = [kept(text) if text else None for text in texts]
    maria.load(base, script(store, folder / "a.sql", "mysql"))
    rows = maria.rows(base, "SELECT category FROM imagenesISS ORDER BY frame_index")
    assert [row["category"] for row in rows] == expected
    postgres.load("postgres", "DROP SCHEMA IF EXISTS regengine CASCADE;")
    postgres.load("postgres", script(store, folder / "b.sql", "postgresql"))
    rows = postgres.rows("postgres", "SELECT category FROM regengine.frames ORDER BY frame_index")
    assert [row["category"] for row in rows] == expected


def test_numbers_come_back_to_the_last_bit_and_what_is_none_is_null(
    maria: MariaDb, base: str, postgres: PostgreSql, schema: str, tmp_path: Path
) -> None:
    nan = float("nan")
    photo = proposal()
    points = tuple(
        replace(photo.control_points[0], sigma_m=value, lights=number)
        for number, value in enumerate(EXTREMES)
    )
    assert photo.nadir is not None
    lost = replace(photo.nadir, lon=nan, lat=nan, altitude_km=nan)
    odd = replace(proposal("odd"), time_utc="2012-03-28T15:46:60Z", nadir=lost, probability=nan)
    early = replace(proposal("early"), time_utc="0001-01-01T00:00:00Z")
    results = [replace(photo, control_points=points), odd, early, proposal("bad")]
    store = write_store(tmp_path / "s.h5", results)
    with h5py.File(store, "r+") as file:
        file["frames/quaternion"][3] = 0.0
    maria.load(base, script(store, tmp_path / "a.sql", "mysql"))
    postgres.load(schema, script(store, tmp_path / "b.sql", "postgresql"))
    asked = (
        "SELECT sigma_m FROM {} WHERE photo_key IN "
        "(SELECT photo_key FROM {} WHERE {} = 'ISS030-E-184140') ORDER BY point"
    )
    for rows in (
        maria.rows(base, asked.format("imagenesISS_points", "imagenesISS", "image_id")),
        postgres.rows(
            schema, asked.format("regengine.control_points", "regengine.frames", "frame")
        ),
    ):
        assert [row["sigma_m"] for row in rows] == list(EXTREMES)
    told = {row["image_id"]: row for row in images(maria, base)}
    for name in ("odd", "early"):
        empty = ("gmt", "ra_deg", "sun_elevation_deg")
        assert [told[name][column] for column in empty] == [None] * 3
    assert (told["odd"]["nadir_time_lon"], told["odd"]["probability"]) == (None, None)
    # A damaged camera costs its own columns alone
    assert (told["bad"]["tilt_deg"], told["bad"]["camera"]) == (None, "NIKON D3S")


def test_loading_again_changes_what_changed_and_nothing_else_in_mysql(
    maria: MariaDb, base: str, tmp_path: Path
) -> None:
    results = [proposal("a"), proposal("b"), nothing_found("c")]
    store = write_store(tmp_path / "s.h5", results)
    first = script(store, tmp_path / "a.sql", "mysql", *ALL)
    maria.load(base, first)
    maria.load(base, "UPDATE imagenesISS SET classified_by_jsc = 1, issnight_id = '77', "
               "other_references = 'ours', comments = 'lost' WHERE image_id = 'b'")  # fmt: skip
    before = images(maria, base)
    maria.load(base, first)
    again = images(maria, base)
    ids = [row["classification_id"] for row in before]
    assert [row["classification_id"] for row in again] == ids
    own = ("classified_by_jsc", "issnight_id", "comments")
    assert [again[1][name] for name in own] == [1, "77", None]
    assert all(new["loaded_at"] > old["loaded_at"] for old, new in zip(before, again, strict=True))
    assert {**again[0], "loaded_at": 0} == {**before[0], "loaded_at": 0}
    # A person moves a point of b and takes two away
    points = engine_points(results[1])[:2]
    points[0] |= {"x": 111.0, "origin": "person"}
    decide(store, 1, results[1], "accepted", work(nadir_camera(tilt_deg=3.0), points), "eva 👩‍🚀")
    maria.load(base, script(store, tmp_path / "b.sql", "mysql", *ALL))
    changed = images(maria, base)
    assert changed[0]["tilt_deg"] == before[0]["tilt_deg"]
    b = changed[1]
    assert (b["author"], b["place"], b["country"]) == ("eva 👩‍🚀", "Ōsaka", "Japan")
    assert (b["comments"], b["tags"], b["quality"]) == ("=1+1", "delta,haze", 4)
    assert b["tilt_deg"] == pytest.approx(3.0, abs=1e-6)
    assert (b["other_references"], b["issnight_id"]) == ("ours", "77")
    found = maria.rows(
        base, f"SELECT x, origin FROM imagenesISS_points WHERE photo_key = '{b['photo_key']}' "
        "ORDER BY point",
    )  # fmt: skip
    assert found == [{"x": 111.0, "origin": "person"}, {"x": 520.0, "origin": "engine"}]
    # What a later script lacks is told by when it was loaded; with a photo its points go
    decide(store, 1, results[1], "rejected", work(None, []), "eva 👩‍🚀")
    maria.load(base, script(store, tmp_path / "c.sql", "mysql", *ALL))
    latest = "(SELECT MAX(loaded_at) FROM imagenesISS)"
    maria.load(base, f"SET @latest = {latest}; DELETE FROM imagenesISS WHERE loaded_at < @latest")
    assert [row["image_id"] for row in images(maria, base)] == ["a", "c"]
    (left,) = maria.rows(base, "SELECT COUNT(DISTINCT photo_key) AS n FROM imagenesISS_points")
    assert left == {"n": 1}


def test_the_same_photo_twice_is_one_row_and_a_script_that_breaks_off_changes_nothing(
    maria: MariaDb, base: str, postgres: PostgreSql, schema: str, tmp_path: Path
) -> None:
    photo = proposal("a")
    moved = replace(photo, path="elsewhere/a.jpg", control_points=photo.control_points[:3])
    unreadable = [replace(nothing_found("x"), sha256="", path=f"{n}/x.jpg") for n in range(2)]
    store = write_store(tmp_path / "s.h5", [photo, moved, *unreadable])
    maria.load(base, script(store, tmp_path / "a.sql", "mysql", *ALL))
    postgres.load(schema, script(store, tmp_path / "b.sql", "postgresql", *ALL))
    for rows, points in (
        (
            maria.rows(base, "SELECT path FROM imagenesISS ORDER BY path"),
            maria.rows(base, "SELECT COUNT(*) AS n FROM imagenesISS_points"),
        ),
        (
            postgres.rows(schema, "SELECT path FROM regengine.frames ORDER BY path"),
            postgres.rows(schema, "SELECT count(*) AS n FROM regengine.control_points"),
        ),
    ):
        assert [row["path"] for row in rows] == ["0/x.jpg", "1/x.jpg", "elsewhere/a.jpg"]
        assert points == [{"n": 3}]
    other = write_store(tmp_path / "t.h5", [replace(photo, category="aurora"), proposal("b")])
    before = images(maria, base)
    text = script(other, tmp_path / "c.sql", "mysql").read_text(encoding="utf-8")
    broken = text.replace("COMMIT;", "SELECT no_such_column FROM imagenesISS;\nCOMMIT;")
    assert "no_such_column" in maria.load(base, broken, expect=1)
    maria.load(base, text[: text.index("COMMIT;")])  # the file's end is missing
    assert images(maria, base) == before
    before = dump(postgres, schema)
    text = script(other, tmp_path / "d.sql", "postgresql").read_text(encoding="utf-8")
    broken = text.replace("COMMIT;", "SELECT no_such;")
    assert "no_such" in postgres.load(schema, broken, expect=3)
    postgres.load(schema, text.replace("COMMIT;", ""))
    assert dump(postgres, schema) == before


def test_statements_stay_below_the_smallest_packet(
    maria: MariaDb, base: str, tmp_path: Path
) -> None:
    wide = [replace(proposal(f"ISS030-E-{n}"), camera_body="🌃" * 5000) for n in range(60)]
    store = write_store(tmp_path / "s.h5", [*wide, *map(proposal, "abc")])
    whole = script(store, tmp_path / "a.sql", "mysql")
    sizes = [len(one.encode()) for one in re.split(r";\n", whole.read_text(encoding="utf-8"))]
    assert 200_000 < max(sizes) < 300_000
    maria.load(base, whole)  # a server that takes a MiB at a time
    assert len(images(maria, base)) == 63


@pytest.mark.parametrize("dialect", ["mysql", "postgresql"])
def test_a_store_without_frames_gives_empty_tables(dialect: str, tmp_path: Path) -> None:
    store = write_store(tmp_path / "s.h5", [nothing_found()])
    text = script(store, tmp_path / "a.sql", dialect).read_text(encoding="utf-8")
    assert "CREATE TABLE" in text
    assert "INSERT" not in text
    assert text.count("BEGIN;") == text.count("COMMIT;") == 1


@pytest.mark.parametrize("bearing", [0.0, 47.0, 265.0, 359.9])
def test_orientation_is_which_way_is_up(
    maria: MariaDb, base: str, tmp_path: Path, bearing: float
) -> None:
    compass = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")

    def turned(tilt_deg: float, mirrored: bool = False) -> Any:
        camera = nadir_camera(10.0, 35.7, tilt_deg=tilt_deg)
        about = Rotation.from_rotvec(-local_axes(10.0, 35.7)[2] * bearing, degrees=True)
        quaternion = (about * Rotation.from_quat(camera.quaternion)).as_quat()
        camera = replace(camera, quaternion=tuple(quaternion.tolist()), mirrored=mirrored)
        return seen_by(proposal(f"{tilt_deg:g} {mirrored}"), camera)

    results = [turned(tilt) for tilt in (0.5, 25.0, 55.0, 100.0)] + [turned(25.0, True)]
    maria.load(base, script(write_store(tmp_path / "s.h5", results), tmp_path / "a.sql", "mysql"))
    told = {row["image_id"]: row for row in images(maria, base)}
    for tilt in (0.5, 25.0, 55.0):
        row = told[f"{tilt:g} False"]
        up = row["up_bearing_deg"]
        # Meridians converge between the nadir and a centre that is seen far away
        assert abs((up - bearing + 180.0) % 360.0 - 180.0) < (0.1 if tilt < 1 else 6.0)
        assert abs((row["look_bearing_deg"] - bearing + 180.0) % 360.0 - 180.0) < 1e-6
        assert row["tilt_deg"] == pytest.approx(tilt, abs=1e-5)
        looks = compass[round(bearing / 45.0) % 8] if tilt >= 5.0 else "down"
        assert row["orientation"] == f"{compass[round(up / 45.0) % 8]} up, looking {looks}"
    assert told["25 True"]["up_bearing_deg"] == pytest.approx(told["25 False"]["up_bearing_deg"])
    sky = told["100 False"]
    assert sky["up_bearing_deg"] is None
    assert sky["orientation"] == f"looking {compass[round(bearing / 45.0) % 8]}"


# PostgreSQL --------------------------------------------------------------------------------------


def placed(name: str, lon: float, lat: float, tilt_deg: float = 0.0) -> Any:
    camera = nadir_camera(lon, lat, tilt_deg=tilt_deg)
    points = [
        replace(point, lon=float(there[0]), lat=float(there[1]))
        for point in proposal().control_points
        if np.isfinite(there := camera.pixel_to_lonlat(point.x, point.y)).all()
    ]
    return replace(seen_by(proposal(name), camera), control_points=tuple(points))


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
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with photos all over the world, and one that has no place."""
    return write_store(tmp_path_factory.mktemp("places") / "s.h5", [*PLACES, nothing_found()])


@pytest.fixture(scope="module")
def places(postgres: PostgreSql, world: Path) -> str:
    """A database of its own with them; the script makes the extensions."""
    postgres.load("places", script(world, world.parent / "a.sql", "postgresql", *ALL))
    return "places"


def names(rows: list[dict[str, Any]]) -> set[Any]:
    return {row["frame"] for row in rows}


def dump(server: PostgreSql, base: str) -> list[list[dict[str, Any]]]:
    """All rows but for when they were loaded."""
    tables = []
    for table in ("frames", "control_points", "sky"):
        rows = server.rows(base, f"SELECT * FROM regengine.{table} ORDER BY {table}::text")
        tables.append([{k: v for k, v in row.items() if k != "loaded_at"} for row in rows])
    return tables


def test_tables_have_types_comments_units_and_nulls(postgres: PostgreSql, places: str) -> None:
    columns = postgres.rows(
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
    assert (kinds["frames", "mirrored"], kinds["frames", "matched_lights"]) == ("boolean", "bigint")
    assert says["frames", "off_nadir_deg"].endswith("[degrees]")
    assert says["control_points", "sigma_m"].endswith("[m]")
    (row,) = postgres.rows(places, "SELECT * FROM regengine.frames WHERE frame = 'ISS001-E-1'")
    empty = ("footprint", "nadir", "centre", "time_utc", "qx", "sun_elevation_deg", "mirrored")
    assert [row[name] for name in empty] == [None] * len(empty)
    (row,) = postgres.rows(places, "SELECT * FROM regengine.frames WHERE frame = 'sea'")
    assert row["time_utc"] == datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
    assert (row["mirrored"], row["matched_lights"], row["focal_px"]) == (False, 143, 1506.1)
    found = postgres.rows(
        places,
        "SELECT x, y, lon, lat, ST_X(ground::geometry) AS e, ST_Y(ground::geometry) AS n "
        "FROM regengine.control_points JOIN regengine.frames USING (photo_key) "
        "WHERE frame = 'sea' ORDER BY point",
    )
    expected = [(p.x, p.y, p.lon, p.lat, p.lon, p.lat) for p in PLACES[0].control_points]
    assert [tuple(row.values()) for row in found] == expected


def test_footprints_are_valid_and_boxes_find_photos_also_across_the_antimeridian(
    postgres: PostgreSql, places: str, world: Path, tmp_path: Path
) -> None:
    rows = postgres.rows(
        places,
        "SELECT frame, ST_IsValid(footprint) AS valid, ST_NumGeometries(footprint) AS parts, "
        "ST_Area(footprint::geography, true) / 1e6 AS km2 FROM regengine.frames "
        "WHERE footprint IS NOT NULL",
    )
    assert len(rows) == len(PLACES)
    assert all(row["valid"] for row in rows)
    found = {row["frame"]: row for row in rows}
    assert found["sea"]["parts"] == 2
    # The picture's sides are 166.2 and 110.7 km from so high, less a little for the curved Earth;
    # the lens's distortion takes a little, too
    for name in ("sea", "north", "south"):
        assert found[name]["km2"] == pytest.approx(166.2 * 110.7, rel=0.01)
    held = postgres.rows(
        places,
        "SELECT count(*) AS n FROM regengine.control_points JOIN regengine.frames "
        "USING (photo_key) WHERE NOT ST_Intersects(footprint::geography, ground)",
    )
    assert held == [{"n": 0}]

    def inside(*edges: float) -> set[Any]:
        question = "SELECT frame FROM regengine.in_box(%s, %s, %s, %s)"
        return names(postgres.rows(places, question, *edges))

    assert inside(179, 19, -179, 21) == inside(-179.8, 19, -179, 21) == {"sea"}
    assert inside(175, -60, -175, 60) == {"sea", "far sea"}
    assert "sea" not in inside(-175, 19, 175, 21)
    assert inside(-180, 89.9, 180, 90) == {"north"}
    assert inside(-180, -90, 180, -89.9) == {"south"}
    assert len(inside(-180, -90, 180, 90)) == len(PLACES)
    # GeoJSON's footprints by shapely
    export(world, "geojson", tmp_path / "a.json", "--layers", "footprints")
    features = json.loads((tmp_path / "a.json").read_text())["features"]
    shown = {one["properties"]["frame"]: shape(one["geometry"]) for one in features}
    for west, south, east, north in ((-175, 29, 175, 30), (100, -60, -100, 20), (9, 0, 90, 60)):
        parts = [(west, east)] if west <= east else [(west, 180), (-180, east)]
        boxes = [box(start, south, end, north) for start, end in parts]
        expected = {name for name, one in shown.items() if any(map(one.intersects, boxes))}
        assert len(expected) > 1
        assert inside(west, south, east, north) == expected
    near = (
        "SELECT frame FROM regengine.frames WHERE ST_DWithin({}, ST_Point({}, {})::geography, {})"
    )
    for column, place, km, expected in (
        ("nadir", (-179.9, 20.0), 30, {"sea"}),
        ("nadir", (-179.9, 20.0), 10, set()),
        ("centre", (179.9, 20.0), 1, {"sea"}),
        ("footprint::geography", (-179.3, 20.0), 30, {"sea"}),
    ):
        question = near.format(column, *place, km * 1000)
        assert names(postgres.rows(places, question)) == expected, (column, km)


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
    postgres: PostgreSql, places: str, table: str, where: str, index: str
) -> None:
    with postgres.connect(places) as base:
        base.execute("SET enable_seqscan = off")
        plan = base.execute(f"EXPLAIN SELECT * FROM regengine.{table} WHERE {where}").fetchall()
    assert f" {index} " in "\n".join(line for (line,) in plan) + " "


@pytest.mark.parametrize("radius_deg", [0.5, 15.0, 80.0])
def test_cones_find_what_astropy_finds(
    postgres: PostgreSql, places: str, radius_deg: float
) -> None:
    rows = postgres.rows(
        places, "SELECT frame, ra_deg, dec_deg FROM regengine.sky JOIN regengine.frames "
        "USING (photo_key)",
    )  # fmt: skip
    assert len(rows) == len(PLACES)
    at = SkyCoord([row["ra_deg"] for row in rows], [row["dec_deg"] for row in rows], unit="deg")
    for middle in ((0.0, 0.0), (359.9, -51.0), (at[3].ra.deg, at[3].dec.deg), (120.0, 89.9)):
        apart = at.separation(SkyCoord(*middle, unit="deg")).deg
        expected = {row["frame"] for row, far in zip(rows, apart, strict=True) if far < radius_deg}
        found = postgres.rows(
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


def test_the_sky_is_where_astropy_sees_it(
    postgres: PostgreSql, schema: str, tmp_path: Path
) -> None:
    limb = nadir_camera(136.9, 35.7, tilt_deg=70.0)
    limb = replace(limb, mirrored=True, focal_px=900.0)
    results = [seen_by(proposal("limb"), limb), proposal("down")]
    postgres.load(
        schema, script(write_store(tmp_path / "s.h5", results), tmp_path / "a.sql", "postgresql")
    )
    (row,) = postgres.rows(schema, "SELECT * FROM regengine.sky WHERE sees_sky")
    x, y = [319.5, 319.5, 0.0, 300.0, 300.0], [212.5, 202.5, 0.0, 20.0, 400.0]
    rays = limb.rays(x, y) @ limb.matrix.T
    with iers.conf.set_temp("auto_download", False):
        time = Time("2012-03-28T15:46:41Z")
        seen = SkyCoord(CartesianRepresentation(rays.T), frame=ITRS(obstime=time))
        seen = seen.transform_to(GCRS(obstime=time))
    # GCRS has ICRS's axes
    middle, above, corner, star, hidden = SkyCoord(seen.ra, seen.dec, frame="icrs")
    at = SkyCoord(row["ra_deg"], row["dec_deg"], unit="deg")
    assert at.separation(middle) < 2.0 * u.arcsec
    turned = (at.position_angle(above).deg - row["position_angle_deg"] + 180.0) % 360.0 - 180.0
    assert abs(turned) < 0.1
    assert row["radius_deg"] == pytest.approx(at.separation(corner).deg, abs=0.05)
    assert row["earth_radius_deg"] == pytest.approx(70.3, abs=0.3)
    for place, expected in ((star, {"limb"}), (hidden, set())):
        found = postgres.rows(schema, IN_SIGHT, *[float(place.ra.deg), float(place.dec.deg)] * 3)
        assert names(found) == expected


@pytest.mark.parametrize("setting", ["on", "off"])
def test_hostile_text_comes_back_from_postgresql(
    postgres: PostgreSql, schema: str, tmp_path: Path, setting: str
) -> None:
    results = [
        replace(proposal(text), path=f"{number}{text}", camera_body=text)
        for number, text in enumerate(HOSTILE)
    ]
    whole = script(write_store(tmp_path / "s.h5", results), tmp_path / "a.sql", "postgresql")
    first = f"SET standard_conforming_strings = {setting};\nSET client_encoding = latin1;\n"
    postgres.load(schema, first + whole.read_text(encoding="utf-8"))
    rows = postgres.rows(schema, "SELECT * FROM regengine.frames ORDER BY frame_index")
    assert [row["frame"] for row in rows] == [row["camera_body"] for row in rows] == list(HOSTILE)
    assert [row["path"] for row in rows] == [f"{n}{text}" for n, text in enumerate(HOSTILE)]


def test_loading_again_changes_what_changed_and_nothing_else_in_postgresql(
    postgres: PostgreSql, schema: str, tmp_path: Path
) -> None:
    results = [proposal("a"), proposal("b"), nothing_found("c")]
    store = write_store(tmp_path / "s.h5", results)
    first = script(store, tmp_path / "a.sql", "postgresql", *ALL)
    postgres.load(schema, first)
    before = dump(postgres, schema)
    assert [len(rows) for rows in before] == [3, 8, 2]
    postgres.load(schema, first)
    assert dump(postgres, schema) == before
    # A person moves a point of b and takes two away
    points = engine_points(results[1])[:2]
    points[0] |= {"x": 111.0, "lon": 181.5, "origin": "person"}
    decide(store, 1, results[1], "accepted", work(nadir_camera(tilt_deg=3.0), points), "eva 👩‍🚀")
    postgres.load(schema, script(store, tmp_path / "b.sql", "postgresql", *ALL))
    frames, control_points, sky = dump(postgres, schema)
    assert [len(rows) for rows in (frames, control_points, sky)] == [3, 6, 2]
    by_name, old = ({row["frame"]: row for row in rows} for rows in (frames, before[0]))
    assert (by_name["a"], by_name["c"]) == (old["a"], old["c"])
    b = by_name["b"]
    told = (b["reviewer"], b["place"], b["comment"], b["quality"])
    assert told == ("eva 👩‍🚀", "Ōsaka", "=1+1", 4)
    assert b["off_nadir_deg"] == pytest.approx(3.0, abs=1e-6)
    found = postgres.rows(
        schema,
        "SELECT x, origin, ST_X(ground::geometry) AS lon FROM regengine.control_points "
        f"WHERE photo_key = '{b['photo_key']}' ORDER BY point",
    )
    assert [row["origin"] for row in found] == ["person", "engine"]
    assert (found[0]["x"], found[0]["lon"]) == (111.0, -178.5)
    # What a later script lacks is told by when it was loaded
    decide(store, 1, results[1], "rejected", work(None, []), "eva 👩‍🚀")
    postgres.load(schema, script(store, tmp_path / "c.sql", "postgresql", *ALL))
    stale = "loaded_at < (SELECT max(loaded_at) FROM regengine.frames)"
    assert names(postgres.rows(schema, f"SELECT frame FROM regengine.frames WHERE {stale}")) == {
        "b"
    }
    postgres.load(schema, f"DELETE FROM regengine.frames WHERE {stale};")
    assert [len(rows) for rows in dump(postgres, schema)] == [2, 4, 1]
