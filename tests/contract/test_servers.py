"""SQL for database servers, loaded by their own clients into real ones, and asked there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.world.exports import (
    ALL,
    above,
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
from tests.world.hostile_text import HOSTILE
from tests.world.sql_servers import MariaDb, PostgreSql, SqlServer, mariadb, postgresql

pytestmark = pytest.mark.server

EXTREMES = (5e-324, 2.2250738585072014e-308, 0.1 + 0.2, 1 / 3, 1e22, 1.7976931348623157e308)


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaDb]:
    with mariadb() as running:
        yield running


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgreSql]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["maria", "postgres"])
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def script(store: Path, server: SqlServer, *words: object) -> Path:
    out = store.with_suffix(f".{server.dialect}.sql")
    export(store, "sql", out, "--dialect", server.dialect, "--force", *words)
    return out


def photos(server: SqlServer, base: str) -> list[dict[str, Any]]:
    return server.rows(base, f"SELECT * FROM {server.photos} ORDER BY {server.name}, path")


def points_of(server: SqlServer, base: str, name: str) -> list[dict[str, Any]]:
    question = f"SELECT q.* FROM {server.points} q JOIN {server.photos} p USING (photo_key)"
    return server.rows(base, f"{question} WHERE p.{server.name} = '{name}' ORDER BY point")


def dump(server: SqlServer, base: str) -> list[list[str]]:
    """All rows but for when they were loaded."""
    tables = [server.photos, server.points, *["regengine.sky"] * (server.dialect != "mysql")]
    return [
        sorted(str({k: v for k, v in row.items() if k != "loaded_at"}) for row in rows)
        for rows in (server.rows(base, f"SELECT * FROM {table}") for table in tables)
    ]


def names(rows: list[dict[str, Any]]) -> set[Any]:
    return {row["frame"] for row in rows}


# Both dialects -----------------------------------------------------------------------------------

MODES = [
    *((f"--init-command=SET SESSION sql_mode='{mode}'", "--default-character-set=latin1")
      for mode in ("", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT")),
    *((f"--command=SET standard_conforming_strings = {one}", "--file=-") for one in ("on", "off")),
]  # fmt: skip


@pytest.mark.parametrize("mode", MODES, ids=[one[0].partition("=")[2][:45] for one in MODES])
def test_hostile_text_comes_back_under_any_mode(
    request: pytest.FixtureRequest, mode: tuple[str, ...], tmp_path: Path
) -> None:
    server = request.getfixturevalue("maria" if "init" in mode[0] else "postgres")
    base = server.make_base()
    results = [
        replace(proposal(text), path=f"{number}{text}", camera_body=text)
        for number, text in enumerate(HOSTILE)
    ]
    whole = script(write_store(tmp_path / "s.h5", results), server)
    for _ in range(2):
        server.load(base, whole, *mode)
    rows = server.rows(base, f"SELECT * FROM {server.photos} ORDER BY frame_index")
    assert [row[server.name] for row in rows] == [row[server.camera] for row in rows]
    assert [row[server.name] for row in rows] == list(HOSTILE)
    assert [row["path"] for row in rows] == [f"{n}{text}" for n, text in enumerate(HOSTILE)]
    if server.dialect == "mysql":  # the session has its own mode again
        ask = "SELECT @@SESSION.sql_mode, @@character_set_client;"
        told = server.load(base, whole.read_text("utf-8") + ask, *mode, "--skip-column-names")
        assert told == server.load(base, ask, *mode, "--skip-column-names")


def test_numbers_come_back_to_the_last_bit_and_what_is_none_is_null(
    server: SqlServer, tmp_path: Path
) -> None:
    nan, photo, base = float("nan"), proposal("whole"), server.make_base()
    points = tuple(
        replace(photo.control_points[0], sigma_m=value, n_lights=number)
        for number, value in enumerate(EXTREMES)
    )
    lost = replace(photo.nadir, lon=nan, lat=nan, altitude_km=nan)
    odd = replace(proposal("odd"), time_utc="2012-03-28T15:46:60Z", nadir=lost, probability=nan)
    early = replace(proposal("early"), time_utc="0001-01-01T00:00:00Z")
    whole = replace(photo, control_points=points)
    store = write_store(tmp_path / "s.h5", [whole, odd, early])
    server.load(base, script(store, server))
    assert [row["sigma_m"] for row in points_of(server, base, "whole")] == list(EXTREMES)
    told = {row[server.name]: row for row in photos(server, base)}
    time = "gmt" if server.dialect == "mysql" else "time_utc"
    for name in ("odd", "early"):
        assert [told[name][column] for column in (time, "sun_elevation_deg")] == [None] * 2
    assert (told["odd"]["prior_nadir_lon"], told["odd"]["probability"]) == (None, None)


def test_loading_again_changes_what_changed_and_nothing_else(
    server: SqlServer, tmp_path: Path
) -> None:
    base, results = server.make_base(), [proposal("a"), proposal("b"), nothing_found("c")]
    store = write_store(tmp_path / "s.h5", results)
    first = script(store, server, *ALL)
    server.load(base, first)
    own = {"classified_by_jsc": 1, "issnight_id": "77", "other_references": "ours"}
    if server.dialect == "mysql":  # columns of the project's own, and one that is ours
        filled = "classified_by_jsc = 1, issnight_id = '77', other_references = 'ours'"
        server.load(
            base, f"UPDATE imagenesISS SET {filled}, comments = 'lost' WHERE image_id = 'b'"
        )
    before = photos(server, base)
    server.load(base, first)
    again = photos(server, base)
    for old, new in zip(before, again, strict=True):
        assert new["loaded_at"] > old["loaded_at"]
        assert {**new, "loaded_at": 0} == {**old, "loaded_at": 0, **(
            {"comments": None} if "comments" in old else {})}  # fmt: skip
    assert [len(rows) for rows in dump(server, base)[:2]] == [3, 8]
    # A person moves a point of b and takes two away
    points = engine_points(results[1])[:2]
    points[0] |= {"x": 111.0, "lon": 181.5, "origin": "person"}
    decide(store, 1, results[1], "accepted", work(nadir_camera(tilt_deg=3.0), points), "eva 👩‍🚀")
    server.load(base, script(store, server, *ALL))
    changed = photos(server, base)
    for number in (0, 2):
        assert {**changed[number], "loaded_at": 0} == {**again[number], "loaded_at": 0}
    b = changed[1]
    keys = ("author", "comments", "tilt_deg")
    who, comment, tilt = keys if "author" in b else ("reviewer", "comment", "off_nadir_deg")
    assert [b[name] for name in (who, "place", "country", comment, "tags", "quality")] == [
        "eva 👩‍🚀", "Ōsaka", "Japan", "=1+1", "delta,haze", 4,
    ]  # fmt: skip
    assert b[tilt] == pytest.approx(3.0, abs=1e-6)
    if server.dialect == "mysql":
        assert {name: b[name] for name in own} == own
    found = points_of(server, base, "b")
    assert [(one["x"], one["origin"]) for one in found] == [(111.0, "person"), (520.0, "engine")]
    # What a later script lacks is told by when it was loaded; with a photo its points go
    decide(store, 1, results[1], "rejected", work(None, []), "eva 👩‍🚀")
    server.load(base, script(store, server, *ALL))
    (latest,) = server.rows(base, f"SELECT max(loaded_at) AS t FROM {server.photos}")
    stale = f"DELETE FROM {server.photos} WHERE loaded_at < '{latest['t']}'"
    server.load(base, stale)
    assert [row[server.name] for row in photos(server, base)] == ["a", "c"]
    assert [len(rows) for rows in dump(server, base)] == [2, 4, 1][: len(dump(server, base))]


def test_the_same_photo_twice_is_one_row_and_a_script_that_breaks_off_changes_nothing(
    server: SqlServer, tmp_path: Path
) -> None:
    photo, base = proposal("a"), server.make_base()
    moved = replace(photo, path="elsewhere/a.jpg", control_points=photo.control_points[:3])
    unreadable = [replace(nothing_found("x"), sha256="", path=f"{n}/x.jpg") for n in range(2)]
    store = write_store(tmp_path / "s.h5", [photo, moved, *unreadable])
    server.load(base, script(store, server, *ALL))
    paths = [row["path"] for row in photos(server, base)]
    assert sorted(paths) == ["0/x.jpg", "1/x.jpg", "elsewhere/a.jpg"]
    assert len(points_of(server, base, "a")) == 3
    other = write_store(tmp_path / "t.h5", [replace(photo, category="aurora"), proposal("b")])
    before, text = dump(server, base), script(other, server).read_text("utf-8")
    assert text.count("COMMIT;") == 1
    broken = text.replace("COMMIT;", f"SELECT no_such_column FROM {server.photos};\nCOMMIT;")
    assert "no_such_column" in server.load(base, broken, code=server.broken_off)
    server.load(base, text.replace("COMMIT;", ""))  # the file's end is missing
    assert dump(server, base) == before


def test_statements_stay_below_the_smallest_packet(maria: MariaDb, tmp_path: Path) -> None:
    wide = [replace(proposal(f"ISS030-E-{n}"), camera_body="🌃" * 5000) for n in range(60)]
    store = write_store(tmp_path / "s.h5", [*wide, *map(proposal, "abc")])
    whole, base = script(store, maria), maria.make_base()
    sizes = [len(one.encode()) for one in re.split(r";\n", whole.read_text(encoding="utf-8"))]
    assert 200_000 < max(sizes) < 300_000
    maria.load(base, whole)  # a server that takes a MiB at a time
    assert len(photos(maria, base)) == 63


# MySQL -------------------------------------------------------------------------------------------


def test_a_photo_has_the_record_of_nightiss(maria: MariaDb, tmp_path: Path) -> None:
    exif, base = Image.Exif(), maria.make_base()
    exif[0x0110] = "NIKON D3S"
    exif.get_ifd(0x8769).update({0x829D: 2.8, 0x8827: 12800, 0xA434: "85.0 mm f/1.4"})
    Image.new("RGB", (64, 43)).save(tmp_path / "photo.jpg", exif=exif)
    # Above Nagoya, leaning north; 15:46 UTC is after midnight there
    leaning = nadir_camera(136.9, 35.1, tilt_deg=30.0)
    photo = seen_by(replace(proposal(), path=str(tmp_path / "photo.jpg")), leaning)
    recorded = replace(proposal("espana"), nadir=replace(photo.nadir, source="record"))
    store = write_store(tmp_path / "s.h5", [photo, recorded, nothing_found()])
    maria.load(base, script(store, maria, *ALL))
    other, nothing, ours = photos(maria, base)
    expected = {
        "image_id": "ISS030-E-184140", "gmt": datetime(2012, 3, 28, 15, 46, 41),
        "link": "https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?mission=ISS030&roll=E&frame=184140",
        "orientation": "north up, looking north", "lens": "85.0 mm f/1.4", "aperture_f": 2.8,
        "iso": 12800.0, "camera": "NIKON D3S", "focal_mm": 85.0, "nadir_time_lon": 136.9,
        "nadir_time_lat": 35.7, "nadir_jsc_lon": None, "nadir_jsc_lat": None, "country": "Japan",
        "author": "regengine 0.1.0", "exif_orientation": 6,
    }  # fmt: skip
    assert {name: ours[name] for name in expected} == expected
    assert ours["tilt_deg"] == pytest.approx(30.0)
    assert (other["nadir_jsc_lon"], other["nadir_time_lon"], other["link"]) == (136.9, None, None)
    # The Sun stands as far below the horizon as noon is away: declination 3, latitude 35
    assert -55.0 < ours["sun_elevation_deg"] < -45.0
    assert [nothing[name] for name in ("gmt", "tilt_deg", "place", "ra_deg")] == [None] * 4
    told = [(p["x"], p["y"], p["lon"], p["lat"]) for p in points_of(maria, base, ours["image_id"])]
    assert told == [(p.x, p.y, p.lon, p.lat) for p in photo.control_points]


# PostgreSQL --------------------------------------------------------------------------------------

# Over the antimeridian, to the limb, over both poles, and wherever else
PLACES = (
    above("sea", 179.9, 20.0),
    above("limb", 10.0, 20.0, 68.0),
    above("north", 20.0, 89.5),
    above("south", -100.0, -89.9),
    above("far sea", -179.95, -51.0, 40.0),
    *(above(f"at {lon}", float(lon), lon / 4.0, lon % 60) for lon in range(-170, 171, 17)),
)


@pytest.fixture(scope="module")
def places(postgres: PostgreSql, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of its own with photos all over the world, and one that has no place."""
    store = write_store(tmp_path_factory.mktemp("places") / "s.h5", [*PLACES, nothing_found()])
    postgres.load("places", script(store, postgres, *ALL))  # the script makes the extensions
    return "places"


def test_footprints_are_valid_and_boxes_find_photos_also_across_the_antimeridian(
    postgres: PostgreSql, places: str
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

    for edges, expected in (
        ((179, 19, -179, 21), {"sea"}),
        ((-179.8, 19, -179, 21), {"sea"}),
        ((175, -60, -175, -45), {"far sea"}),
        ((-180, 89.9, 180, 90), {"north"}),
        ((100, 85, 120, 86), set()),
        ((-180, -90, 180, 90), {one.frame for one in PLACES}),
    ):
        question = "SELECT frame FROM regengine.in_box(%s, %s, %s, %s)"
        assert names(postgres.rows(places, question, *edges)) == expected, edges


IN_SIGHT = """
SELECT frame FROM regengine.sky JOIN regengine.frames USING (photo_key)
WHERE sees_sky AND q3c_radial_query(ra_deg, dec_deg, %s, %s, 40)
  AND q3c_dist(ra_deg, dec_deg, %s, %s) < radius_deg
  AND q3c_dist(earth_ra_deg, earth_dec_deg, %s, %s) > earth_radius_deg
"""


def test_the_sky_is_where_astropy_sees_it(postgres: PostgreSql, tmp_path: Path) -> None:
    from astropy import units as u
    from astropy.coordinates import GCRS, ITRS, CartesianRepresentation, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    base, limb = postgres.make_base(), nadir_camera(136.9, 35.7, tilt_deg=70.0)
    limb = replace(limb, mirrored=True, focal_px=900.0)
    results = [seen_by(proposal("limb"), limb), proposal("down")]
    postgres.load(base, script(write_store(tmp_path / "s.h5", results), postgres))
    (row,) = postgres.rows(base, "SELECT * FROM regengine.sky WHERE sees_sky")
    x, y = [319.5, 319.5, 0.0, 300.0, 300.0], [212.5, 202.5, 0.0, 20.0, 400.0]
    rays = limb.rays(x, y) @ limb.matrix.T
    with iers.conf.set_temp("auto_download", False):
        time = Time("2012-03-28T15:46:41Z")
        seen = SkyCoord(CartesianRepresentation(rays.T), frame=ITRS(obstime=time))
        seen = seen.transform_to(GCRS(obstime=time))
    # GCRS has ICRS's axes
    middle, upper, corner, star, hidden = SkyCoord(seen.ra, seen.dec, frame="icrs")
    at = SkyCoord(row["ra_deg"], row["dec_deg"], unit="deg")
    assert at.separation(middle) < 2.0 * u.arcsec
    twist = (at.position_angle(upper).deg - row["position_angle_deg"] + 180.0) % 360.0 - 180.0
    assert abs(twist) < 0.1
    assert row["radius_deg"] == pytest.approx(at.separation(corner).deg, abs=0.05)
    assert row["earth_radius_deg"] == pytest.approx(70.3, abs=0.3)
    for place, expected in ((star, {"limb"}), (hidden, set())):
        found = postgres.rows(base, IN_SIGHT, *[float(place.ra.deg), float(place.dec.deg)] * 3)
        assert names(found) == expected
