"""A STAC catalogue, read and validated by pystac, whole and interrupted."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pyogrio
import pystac
import pytest
import rasterio
from pyproj import Geod
from pystac.extensions.eo import EOExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.view import ViewExtension
from scipy.spatial.transform import Rotation
from shapely import MultiPolygon, Point, from_wkb
from shapely.geometry import shape

from matchers.camera import Camera
from matchers.earth import local_axes
from regengine.exchange.export.footprint import footprint
from regengine.orbit.sun_moon import sun_moon
from regengine.result import FrameResult, SolvedCamera
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import export, photographed, try_export, write_store
from tests.regengine.exchange.export.stac_reader import VALIDATOR, exported_items, valid_items
from tests.regengine.exchange.export.test_selection import HOSTILE

ALL = ("--verdict", "all")


def seen_by(camera: Camera, name: str = "ISS030-E-184140") -> FrameResult:
    solved = SolvedCamera(camera=camera, along_track_offset_s=0.0, off_nadir_deg=0.0)
    return replace(proposal(name), solved=solved)


def item_of(result: FrameResult, folder: Path) -> pystac.Item:
    store = write_store(folder / "run.h5", [result])
    (item,) = exported_items(store, folder / "catalogue", *ALL).values()
    return item


def test_what_is_known_of_a_photo_is_in_its_item(store: Path, tmp_path: Path) -> None:
    items = exported_items(store, tmp_path / "o", *ALL)
    assert set(items) == {"ISS030-E-184140", "ISS030-E-184141", "ISS001-E-1"}
    item = items["ISS030-E-184140"]
    assert item.datetime == datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
    told = item.properties
    assert (told["platform"], told["instruments"]) == ("iss", ["NIKON D3S"])
    assert (told["regengine:verdict"], told["regengine:probability"]) == ("accepted", 0.9997)
    assert told["regengine:sigma_m"] == 140.0
    assert told["proj:code"] is None
    assert "regengine:path" not in told
    assert told["regengine:credit"] == (
        "Image courtesy of the Earth Science and Remote Sensing Unit, NASA Johnson Space Center, "
        "ISS030-E-184140"
    )
    (via,) = item.get_links("via")
    assert via.href.endswith("photo.pl?mission=ISS030&roll=E&frame=184140")
    photo = item.assets["photo"]
    assert photo.media_type == "image/jpeg"
    assert FileExtension.ext(photo).checksum == "1220" + proposal().sha256
    assert ProjectionExtension.ext(photo).shape == [426, 640]
    assert "eo:bands" not in photo.extra_fields  # nobody can look into a photo that is gone


def test_photos_that_are_not_of_the_archive_get_no_credit(tmp_path: Path) -> None:
    results = [proposal(name) for name in ("Osaka at night", "ISS990-E-1", "my ISS030-E-7")]
    store = write_store(tmp_path / "run.h5", results)
    items = exported_items(store, tmp_path / "o")
    assert set(items) == {"Osaka_at_night", "ISS990-E-1", "ISS030-E-7"}
    for item in items.values():
        assert {"regengine:credit", "license", "providers"} & set(item.properties) == set()
        assert item.get_links("license") == item.get_links("via") == []
    assert items["Osaka_at_night"].properties["title"] == "Osaka at night"
    told = json.loads((tmp_path / "o" / "collection.json").read_text())
    assert "providers" not in told


@pytest.mark.parametrize(("lon", "tilt"), [(10.0, 0.0), (179.9, 40.0)])
def test_the_view_is_that_of_the_camera(tmp_path: Path, lon: float, tilt: float) -> None:
    camera = replace(nadir_camera(lon, 0.0, tilt_deg=tilt), distortion=(0.0,) * 5)
    item = item_of(seen_by(camera), tmp_path)
    view = ViewExtension.ext(item)
    assert view.off_nadir == pytest.approx(tilt, abs=1e-3)
    # On a sphere of the equator's radius; the Earth is flatter there by 0.3 % towards the pole
    incidence = math.asin((6378.137 + 391.2) / 6378.137 * math.sin(math.radians(tilt)))
    assert view.incidence_angle == pytest.approx(math.degrees(incidence), abs=0.25)
    arc = incidence - math.radians(tilt)
    slant_m = 6378137.0 * math.sin(arc) / math.sin(math.radians(tilt)) if tilt else 391.2e3
    gsd_m = slant_m / camera.focal_px / math.sqrt(math.cos(incidence))
    assert item.common_metadata.gsd == pytest.approx(gsd_m, rel=0.01)
    if tilt:
        assert (view.azimuth + 180.0) % 360.0 == pytest.approx(180.0, abs=1e-3)  # northward
    there = camera.pixel_to_lonlat(319.5, 212.5)
    sun = sun_moon(datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC), *map(float, there))
    assert view.sun_elevation == pytest.approx(sun.sun_elevation_deg, abs=1e-3)
    assert view.sun_azimuth == pytest.approx(sun.sun_azimuth_deg, abs=1e-3)


def test_the_azimuth_runs_from_below_the_camera_to_the_scene(tmp_path: Path) -> None:
    straight, cameras = nadir_camera(20.0, 50.0, tilt_deg=50.0), {}
    for bearing in (30.0, 135.0, 200.0, 310.0):
        turn = Rotation.from_rotvec(-local_axes(20.0, 50.0)[2] * bearing, degrees=True)
        turned = (turn * Rotation.from_quat(straight.quaternion)).as_quat()
        cameras[bearing] = replace(straight, quaternion=tuple(turned.tolist()))
    results = [seen_by(camera, f"{bearing:g}") for bearing, camera in cameras.items()]
    items = exported_items(write_store(tmp_path / "run.h5", results), tmp_path / "o")
    for bearing, camera in cameras.items():
        lon, lat = (float(one) for one in camera.pixel_to_lonlat(319.5, 212.5))
        forward, _, _ = Geod(ellps="WGS84").inv(20.0, 50.0, lon, lat)
        found = ViewExtension.ext(items[f"{bearing:g}"]).azimuth
        assert found == pytest.approx(forward % 360.0, abs=0.02)
        assert found == pytest.approx(bearing, abs=0.3)


def test_geometries_are_those_of_the_footprints(everywhere: Path, tmp_path: Path) -> None:
    items = exported_items(everywhere, tmp_path / "o")
    assert len(items) == 3
    for item in items.values():
        path = tmp_path / "o" / f"{item.id}.stac.json"
        _, _, (wkb,), _ = pyogrio.raw.read(path)  # GDAL's own reader
        ground = from_wkb(wkb)
        assert ground.equals(shape(item.geometry))
        assert ground.is_valid
    camera = nadir_camera(179.9, 20.0, tilt_deg=20.0)
    sea = shape(items["sea"].geometry)
    rings = footprint(camera)
    assert sea.equals(MultiPolygon([[ring, []] for ring in rings]))
    west, south, east, north = items["sea"].bbox or []
    assert (170.0 < west < 180.0, -180.0 < east < -170.0) == (True, True)
    assert (south, north) == (sea.bounds[1], sea.bounds[3])
    limb = items["limb"]
    assert limb.bbox == list(shape(limb.geometry).bounds)
    told = json.loads((tmp_path / "o" / "collection.json").read_text())
    ((west, _, east, _),) = told["extent"]["spatial"]["bbox"]
    assert limb.bbox is not None
    assert (west, east) == (limb.bbox[0], items["sea"].bbox[2])  # type: ignore[index]


@pytest.mark.parametrize("lat", [89.9, -89.9])
def test_around_a_pole_the_box_goes_around(tmp_path: Path, lat: float) -> None:
    camera = replace(nadir_camera(30.0, lat), focal_px=400.0)
    item = item_of(seen_by(camera), tmp_path)
    ground = shape(item.geometry)
    assert ground.is_valid
    assert ground.contains(Point(-100.0, math.copysign(89.8, lat)))
    assert item.bbox is not None
    assert (item.bbox[0], item.bbox[2]) == (-180.0, 180.0)
    assert math.copysign(90.0, lat) in (item.bbox[1], item.bbox[3])


def test_photos_without_a_place_are_items_without_a_geometry(tmp_path: Path) -> None:
    sky = seen_by(nadir_camera(tilt_deg=150.0), "sky")
    store = write_store(tmp_path / "run.h5", [sky, nothing_found("none")])
    items = exported_items(store, tmp_path / "o", *ALL)
    assert set(items) == {"sky", "none"}
    for item in items.values():
        assert (item.geometry, item.bbox) == (None, None)
        told = json.loads((tmp_path / "o" / f"{item.id}.stac.json").read_text())
        assert "bbox" not in told
        assert "view:off_nadir" not in told["properties"]
        assert "gsd" not in told["properties"]
    points = json.loads((tmp_path / "o" / "none.points.geojson").read_text())
    assert points == {"type": "FeatureCollection", "features": []}
    told = json.loads((tmp_path / "o" / "collection.json").read_text())
    assert told["extent"]["spatial"]["bbox"] == [[-180.0, -90.0, 180.0, 90.0]]


def test_a_middle_in_the_sky_has_a_direction_but_no_ground(tmp_path: Path) -> None:
    item = item_of(seen_by(nadir_camera(0.0, 10.0, tilt_deg=71.0)), tmp_path)
    assert item.geometry is not None
    view = ViewExtension.ext(item)
    assert view.off_nadir == pytest.approx(71.0, abs=0.1)
    assert (view.incidence_angle, view.sun_elevation, view.sun_azimuth) == (None, None, None)
    assert "gsd" not in item.properties


def test_photos_without_a_time_have_a_stretch_of_it(tmp_path: Path) -> None:
    timeless = replace(proposal("a"), time_utc=None)
    store = write_store(tmp_path / "run.h5", [timeless, replace(timeless, path="b.jpg")])
    for item in exported_items(store, tmp_path / "o").values():
        assert item.datetime is None
        assert item.properties["datetime"] is None
        start, end = item.common_metadata.start_datetime, item.common_metadata.end_datetime
        assert start is not None
        assert end is not None
        assert start.year == 1998
        assert start < end <= datetime.now(UTC)
        assert "view:sun_elevation" not in item.properties
        assert "view:off_nadir" in item.properties


def test_without_photos_there_is_a_collection_without_items(store: Path, tmp_path: Path) -> None:
    assert exported_items(store, tmp_path / "o", "--where", "frame = 'no such'") == {}
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["collection.json"]


def test_what_the_collection_says_of_its_items(store: Path, tmp_path: Path) -> None:
    items = exported_items(store, tmp_path / "catalogue", *ALL)
    found = pystac.Collection.from_file(tmp_path / "catalogue" / "collection.json")
    assert found.id == "catalogue"
    assert {item.collection_id for item in items.values()} == {"catalogue"}
    summaries = found.summaries.to_dict()
    assert summaries["regengine:verdict"] == ["accepted", "no_match", "review"]
    gsd = {item.common_metadata.gsd for item in items.values()} - {None}
    assert summaries["gsd"] == {"minimum": min(gsd), "maximum": max(gsd)}
    ((start, end),) = found.extent.temporal.intervals
    assert start is not None
    assert end is not None
    assert (start.year, end.year) == (1998, datetime.now(UTC).year)  # one has no time
    assert found.providers is not None
    assert "NASA" in found.providers[0].name
    assert [link.href for link in found.get_links("license")]
    assert set(found.item_assets) == {"photo", "control_points"}


def test_a_catalogue_can_be_moved(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "here" / "o"
    export(store, "stac", out)
    for path in out.glob("*.json"):
        told = json.loads(path.read_text())
        links = [one["href"] for one in told["links"] if one["rel"] not in ("via", "license")]
        assert all(link.startswith("./") for link in links)
        assert "self" not in {one["rel"] for one in told["links"]}
    shutil.move(out, tmp_path / "there")
    assert len(valid_items(tmp_path / "there")) == 1


@pytest.mark.parametrize("name", ["a.jpg", "a b#c?d%20é\n🌃.png", "up/../javascript:x.jpg"])
def test_the_photo_is_found_from_its_item(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "photos" / Path(name).parent
    (tmp_path / "photos" / "up").mkdir(parents=True)
    path = folder / Path(name).name
    result = photographed(proposal(), path)
    photo = item_of(result, tmp_path).assets["photo"]
    assert photo.href.startswith("../photos/")
    assert ":" not in photo.href
    found = tmp_path / "catalogue" / unquote(photo.href)
    assert found.samefile(path)
    multihash = bytes.fromhex(FileExtension.ext(photo).checksum or "")
    assert multihash == bytes([0x12, 32]) + hashlib.sha256(path.read_bytes()).digest()
    bands = EOExtension.ext(photo).bands
    assert bands is not None
    assert [band.common_name for band in bands] == ["red", "green", "blue"]


def test_a_grey_photo_has_no_colours(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "grey.png"
    Image.new("L", (640, 426)).save(path)
    item = item_of(replace(proposal(), path=str(path)), tmp_path)
    assert "eo:bands" not in item.assets["photo"].extra_fields
    assert not EOExtension.has_extension(item)


def test_addresses_of_photos_hold_no_secret_and_no_script(tmp_path: Path) -> None:
    starts = {
        "https://me:pw@host.invalid/a b.jpg?token=x": "https://host.invalid/a%20b.jpg?token=***",
        "s3://bucket/a.jpg": "s3://bucket/a.jpg",
        "javascript:alert(1)": "../javascript%3Aalert%281%29",
        "javascript://%0aalert(1)": "../javascript%3A/",
        "data:text/html,<b>": "../data%3Atext/",
    }
    results = [replace(proposal(f"f{k}"), path=path) for k, path in enumerate(starts)]
    items = exported_items(write_store(tmp_path / "run.h5", results), tmp_path / "o")
    hrefs = {item.properties["title"]: item.assets["photo"].href for item in items.values()}
    for number, start in enumerate(starts.values()):
        assert hrefs[f"f{number}"].startswith(start)


def test_hostile_names_are_plain_ids(tmp_path: Path) -> None:
    results = [replace(proposal(f"f{number}"), path=path) for number, path in enumerate(HOSTILE)]
    results[0] = replace(results[0], frame="\udcff</script>", camera_body="a\udc80" * 9)
    store = write_store(tmp_path / "run.h5", results)
    before = set(tmp_path.rglob("*"))
    items = exported_items(store, tmp_path / "o")
    assert len(items) == len(HOSTILE)
    assert {"up", "passwd", "a", "b", "same-" + results[-2].sha256[:8]} <= set(items)
    written = set(tmp_path.rglob("*")) - before - {tmp_path / "o"}
    assert {path.parent for path in written} == {tmp_path / "o"}
    assert len(written) == 2 * len(HOSTILE) + 1
    for identity in items:
        assert not set(identity) - set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
        )


def test_hashes_that_are_none_are_in_no_name(tmp_path: Path) -> None:
    results = [
        replace(proposal(name), path=f"{name}/a.jpg", sha256=sha256)
        for name, sha256 in (("x", "../../../up"), ("y", "/../../up"), ("z", ""))
    ]
    store = write_store(tmp_path / "run.h5", results)
    items = exported_items(store, tmp_path / "o")
    assert set(items) == {"a-0", "a-1", "a-2"}
    assert {"file:checksum" in item.assets["photo"].extra_fields for item in items.values()} == {
        False
    }


def test_warped_pictures_beside_are_told_of(tmp_path: Path) -> None:
    photo = photographed(proposal(), tmp_path / "photo.jpg")
    store = write_store(tmp_path / "run.h5", [photo])
    export(store, "geotiff", tmp_path / "o", "--crs", "EPSG:32653", "--resolution", "900")
    (item,) = exported_items(store, tmp_path / "o").values()
    assert set(item.assets) == {"photo", "control_points", "warped", "sigma"}
    for key, ending in (("warped", "warped"), ("sigma", "sigma")):
        facts = ProjectionExtension.ext(item.assets[key])
        with rasterio.open(tmp_path / "o" / f"photo.{ending}.tif") as raster:
            assert facts.code == "EPSG:32653"
            assert facts.shape == list(raster.shape)
            assert facts.transform == list(raster.transform)[:6]
            assert facts.bbox == list(raster.bounds)
    assert item.assets["warped"].href == "./photo.warped.tif"


def test_warped_pictures_of_other_photos_are_not_taken_for_ours(tmp_path: Path) -> None:
    photo = photographed(proposal(), tmp_path / "photo.jpg")
    store = write_store(tmp_path / "run.h5", [photo])
    export(store, "geotiff", tmp_path / "o", "--as", "warped", "--resolution", "0.01")
    (tmp_path / "o" / "photo.sigma.tif").write_bytes(b"no TIFF")
    other = write_store(tmp_path / "other.h5", [replace(photo, sha256="ab" * 32)])
    (item,) = exported_items(other, tmp_path / "o").values()
    assert set(item.assets) == {"photo", "control_points"}


def test_the_validation_sees_what_is_wrong(store: Path, tmp_path: Path) -> None:
    (item,) = exported_items(store, tmp_path / "o").values()
    for key, value in (("view:off_nadir", 91.0), ("proj:code", 3), ("datetime", "yesterday")):
        told = item.to_dict(transform_hrefs=False)
        told["properties"][key] = value
        with pytest.raises(pystac.STACValidationError):
            VALIDATOR.validate(told, pystac.STACObjectType.ITEM, "1.1.0", item.stac_extensions)


# Ends the program within the write of the item of this name, or of the collection
KILLED = """
import os, signal, sys
from regengine.commands import app
from regengine.exchange.export.formats import stac
store, out, victim, *more = sys.argv[1:]
text = stac.stac_text
def dies(told):
    if told["id"] == victim:
        os.kill(os.getpid(), signal.SIGKILL)
    return text(told)
stac.stac_text = dies
app(["export", store, "--format", "stac", "--out", out, *more])
"""


@pytest.fixture
def three(tmp_path: Path) -> Path:
    return write_store(tmp_path / "run.h5", [proposal(f"f{number}") for number in range(3)])


def killed_at(victim: str, store: Path, out: Path, *more: str) -> list[str]:
    """Names of what is there after the program was killed; hidden ones are those half written."""
    words = [sys.executable, "-c", KILLED, str(store), str(out), victim, *more]
    run = subprocess.run(words, check=False, env=dict(os.environ))
    assert run.returncode == -signal.SIGKILL
    found = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    for name in found:
        json.loads((out / name).read_text())  # whole
    return found


@pytest.mark.parametrize(
    ("victim", "whole"),
    [
        ("f2", ["f0", "f1"]),
        pytest.param("o", ["f0", "f1", "f2"], marks=pytest.mark.slow),
    ],
)
def test_without_a_collection_a_catalogue_was_interrupted(
    three: Path, tmp_path: Path, victim: str, whole: list[str]
) -> None:
    out = tmp_path / "o"
    found = killed_at(victim, three, out)
    endings = (".points.geojson", ".stac.json")
    assert found == [f"{name}{ending}" for name in whole for ending in endings]
    refused = try_export(three, "stac", out)
    assert refused.exit_code == 2
    assert "exist already: nothing was written" in refused.stderr
    assert set(exported_items(three, out, "--force")) == {"f0", "f1", "f2"}


def test_a_collection_never_stands_beside_items_that_are_half_replaced(
    three: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o"
    export(three, "stac", out)
    assert "collection.json" not in killed_at("f1", three, out, "--force")
    assert set(exported_items(three, out, "--force")) == {"f0", "f1", "f2"}


def test_a_catalogue_stays_where_nothing_was_replaced_yet(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    export(three, "stac", out)
    broken = tmp_path / "broken.h5"
    broken.write_bytes(three.read_bytes()[:2000])
    assert try_export(broken, "stac", out, "--force").exit_code == 3
    assert try_export(three, "stac", out, "--force", "--where", "nonsense").exit_code == 2
    assert try_export(three, "stac", out).exit_code == 2
    assert len(valid_items(out)) == 3


def test_items_that_are_not_chosen_any_more_are_not_listed(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    export(three, "stac", out)
    chosen = exported_items(three, out, "--force", "--where", "frame = 'f1'")
    assert set(chosen) == {"f1"}
    assert (out / "f0.stac.json").is_file()  # nothing is removed that was not replaced


def test_a_collection_of_others_is_not_replaced_unasked(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    out.mkdir()
    (out / "collection.json").write_text("mine")
    refused = try_export(three, "stac", out)
    assert refused.exit_code == 2
    assert [path.name for path in out.iterdir()] == ["collection.json"]
    assert (out / "collection.json").read_text() == "mine"


def test_a_photo_is_never_taken_away(tmp_path: Path) -> None:
    out = tmp_path / "o"
    out.mkdir()
    photo = photographed(proposal(), out / "photo.jpg")
    (out / "photo.jpg").rename(out / "collection.json")
    before = (out / "collection.json").read_bytes()
    result = replace(photo, path=str(out / "collection.json"))
    store = write_store(tmp_path / "run.h5", [result])
    refused = try_export(store, "stac", out, "--force")
    assert refused.exit_code == 2
    assert "is one of the photos" in refused.stderr
    assert (out / "collection.json").read_bytes() == before
    assert [path.name for path in out.iterdir()] == ["collection.json"]


def test_a_full_disk_leaves_no_collection(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from regengine.exchange.export.formats import stac

    def full(told: dict[str, object]) -> str:
        if told["type"] == "Collection":
            raise OSError(28, "No space left on device")
        return "{}"

    monkeypatch.setattr(stac, "stac_text", full)
    result = try_export(three, "stac", tmp_path / "o")
    assert result.exit_code == 3
    assert "No space left on device" in result.stderr
    names = {path.name for path in (tmp_path / "o").iterdir()}
    assert "collection.json" not in names
    assert not [name for name in names if name.startswith(".")]


def test_a_file_of_each_photo_and_the_collection_are_counted(three: Path, tmp_path: Path) -> None:
    said = json.loads(export(three, "stac", tmp_path / "o", "--json").stdout)
    assert (said["frames"], said["files"]) == (3, 7)
