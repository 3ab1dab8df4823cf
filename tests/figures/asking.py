"""What commands print and refuse, and what the archive's client and the review's server answer."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.figures.summary import (
    RUN,
    block_means,
    read_lines,
    read_picture,
    read_records,
    read_table,
)
from tests.world import skies
from tests.world.elements import Elements
from tests.world.exports import export
from tests.world.pages import copy_store, serve
from tests.world.program import invoke
from tests.world.runs import ELEMENTS, LIGHTS
from tests.world.samples import sample_store
from tests.world.services import ArchiveService, TileService, night_picture

EARLY = ("ISS005-E-1", "ISS027-E-1", "ISS028-E-1", "ISS029-E-1")  # before and after it was raised
ANSWER = re.compile(r"seconds|made_at|url|path|file$|sha256|version$|_utc$|^token$|^job$")


def _ask(*words: object) -> dict[str, Any]:
    """Exit code and lines that a command prints, without what differs from run to run."""
    said = invoke(*words)
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception
    out: Any = _plain(read_records(said.stdout)) if "--json" in words else read_lines(said.stdout)
    return {"code": said.exit_code, "out": out, "err": sorted(read_lines(said.stderr))}


def _ask_all(**asked: tuple[object, ...]) -> dict[str, Any]:
    return {name: _ask(*words) for name, words in asked.items()}


def _plain(value: Any) -> Any:
    """An answer without what differs from run to run."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if not ANSWER.search(key)}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return RUN.sub("", value) if isinstance(value, str) else value


def archive_asked(
    archive: ArchiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> Any:
    monkeypatch.setenv("JSC_PHOTOS_KEY", archive.KEY)
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    archive.add_frame(1)
    archive.add_frame(2, day="20140118", sun=5.0, focal="85", catalogued=True)
    archive.add_frame(3, day="20140202", lon=179.9, focal="400")
    archive.add_frame(4, lon=120.0, focal=None)
    for number in range(2000, 2300, 7):
        archive.add_frame(number, day=f"201401{5 + number % 20:02d}", lat=number / 100.0)
    archive.add_picture("ISS990-E-101", night_picture())
    archive.add_picture("ISS990-E-102", night_picture() * 2, size="small")
    archive.most_rows = 20
    query = ("frames", "query", "--mission", "iss990")
    dated = ("--from", "2014-01-01", "--to", "2014-02-28")
    fetch = ("frames", "download", "--out", "photos")
    told = _ask_all(
        night=(*query, "--sun-elevation", "night", *dated, "--json", "--tle", ELEMENTS),
        lens=(*query, "--focal-mm", "50,85", "--bbox", "170,-60,-150,60", "--json"),
        table=(*query, "--table", "frames", "--out", "found.csv"),
        again=(*query, "--table", "frames", "--out", "found.csv", "--force"),
        planned=(*query, *dated, "--sun-elevation", "-90,-6", "--dry-run"),
        by_url=(*fetch, "https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?mission=ISS990&roll=E"
                "&frame=101", "iss990e102_lrg.jpg", "ISS006-370-12", "--force"),
        fetched=(*fetch, "iss990e000101", "found.csv", "ISS990-E-9", "--json"),
        small=(*fetch, "ISS990-E-102", "ISS990-E-101", "--size", "small"),
        limited=(*fetch, "ISS990-E-101", "--force", "--max-gigabytes", 1e-6),
        read=("frames", "read", "found.csv", "--json"),
        named=("register", "ISS990-E-101", "ISS990-E-1", "--dry-run", "--json", "--workers", 0),
        **{f"no {k}": (*query, *words) for k, words in enumerate((
            ("--sun-elevation", "-9,-10"), ("--focal-mm", "85,50"), ("--bbox", "1,2,3"),
            ("--from", "2014-01-02", "--to", "2014-01-01"), ("--table", "users")))},
    )  # fmt: skip
    archive.add_picture("ISS990-E-1", night_picture())
    sought = ("--max-seconds", 1, "--effort", "quick", "--workers", 0, "--store", "run.h5")
    words = ("ISS990-E-1", "ISS990-E-9", *sought, "--lights", LIGHTS)
    placed = read_records(invoke("register", *words, "--json").stdout)
    told["placed"] = [[one["frame"], one["verdict"], one["time_utc"]] for one in placed]
    with (tmp_path / "found.csv").open(encoding="utf-8", newline="") as file:
        told["found"] = list(csv.DictReader(file))
    told["asked"] = [request.query.get("query", "") for request in archive.requests]
    told["waited"] = len(pauses)
    return told


def maps_fetched(
    tiles: TileService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> Any:
    for name in ("DATA", "CACHE"):
        monkeypatch.setenv(f"REGENGINE_{name}", str(tmp_path / name.lower()))
    tiles.always["/7/47/68.png"] = 404
    tiles.faults["/7/47/67.png"] = [500, "cut"]
    region = ("--bbox", "11,42,12,43", "--level", 7, "--url", tiles.template)
    data = tmp_path / "data"
    told = _ask_all(
        lights=("maps", "get", *region),
        again=("maps", "get", *region),
        day=("maps", "get", "--kind", "day", *region[:3], 5, *region[4:]),
        from_disk=("maps", "get", "--from", LIGHTS, "--force", "--bbox", "-153,32,-150,35"),
        info=("maps", "info", LIGHTS),
        about_day=("maps", "info", "--kind", "day", data / "day" / "day.tif", "--json"),
        index=("maps", "index", LIGHTS, "--out", tmp_path / "a.idx"),
        no_url=("maps", "get", *region[:4], "--url", "http://127.0.0.1:1/{z}/{x}.png"),
    )
    import rasterio

    for path in sorted(data.rglob("*.tif")):
        with rasterio.open(path) as raster:
            told[path.stem] = {
                "means": block_means(raster.read(1, masked=True).filled(0)),
                "tags": {key: RUN.sub("", value) for key, value in raster.tags().items()},
                "place": list(raster.transform)[:6],
            }
    return told | {"asked": sorted(tiles.asked.items()), "waited": len(pauses)}


def review_answered(store: Path, tmp_path: Path) -> Any:
    found: dict[str, Any] = {}
    made = copy_store(store, tmp_path / "made")
    with serve(made, lights=[LIGHTS], tle=[ELEMENTS]) as client:
        found["accepted"] = _plain(client.accept(8, comment="a\nb", tags=["x"], quality=4).json())
        client.decide(1, "rejected")
        client.decide(2, "unsure", tags=["fog"], comment="?")
        found["again"] = _plain(client.decide(8, "rejected", base=0).json())
        for path in (
            *("session", "facets", "frames?limit=100", "queue?limit=9", "frames/8", "frames/14"),
            *("frames/8/history", "frames/8/neighbours", "frames?limit=5&sort=time&status=open"),
            *("frames?bbox=170,-90,-170,90&limit=5", "frames?reason=low_margin", "places?limit=9"),
            *("places/search?text=osaka", "nadir?time_utc=2014-01-17T07:45:50Z"),
            "frames?limit=4&text=iss055&sort=name",
        ):
            found[path] = _plain(client.ask("GET", f"/api/{path}").json())
        found["outlines"] = len(client.ask("GET", "/api/outlines/4/13/6.json").content)
    with serve(made, reviewer="Bo") as other:
        found["second"] = _plain(other.accept(8, quality=2).json())
        found["disputed"] = _plain(other.told("frames?limit=9&status=disputed"))
    for name, words in (("points", ()), ("frames", ("--table", "frames"))):
        out = tmp_path / f"{name}.csv"
        if export(made, "csv", out, "--reviewed", *words).code == 0:
            found[f"kept_{name}"] = _plain(read_table(out.read_text(encoding="utf-8")))
    return found


def review_worked_out(tmp_path: Path) -> Any:
    """Cameras of points that were set, points snapped to the map, and evidence for them."""
    found: dict[str, Any] = {}
    names = ("ISS990-E-000103", "ISS990-E-000104", "ISS990-E-000106")
    store = sample_store(tmp_path / "samples", [(name, name) for name in names])
    with serve(store, lights=[LIGHTS], tle=[ELEMENTS]) as client:
        for frame in range(len(names)):
            told = client.told(f"frames/{frame}")
            camera, points = told["camera"], told["points"]
            held = [point | {"origin": "person", "by_hand": True} for point in points]
            moved = [point | {"x": point["x"] + 2.0 * k} for k, point in enumerate(held)]
            for free in ("auto", "attitude", "focal"):
                body = {"points": moved, "start": camera, "free": free}
                found[f"solved {free} {frame}"] = client.post(f"frames/{frame}/solve", body).json()
            for moves in ("map", "photo"):
                body = {"camera": camera, "point": moved[1], "moves": moves}
                found[f"snap {moves} {frame}"] = client.post(f"frames/{frame}/snap", body).json()
            body = {"camera": camera, "points": moved}
            for path in ("evidence", "marks", "points"):
                found[f"{path} {frame}"] = _text(client.post(f"frames/{frame}/{path}", body))
        for path in ("frames/1/photo/0/0/0.jpg", "frames/1/preview.jpg", "maps/lights/6/5/25.png"):
            import io

            found[path] = read_picture(io.BytesIO(client.ask("GET", f"/api/{path}").content))
    return _plain(found)


def _text(answer: Any) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text.splitlines()


def points_imported(store_copy: Path, tmp_path: Path) -> Any:
    """Points as QGIS and others write them, some of them moved, scored and kept."""
    out = tmp_path / "points.csv"
    assert export(store_copy, "csv", out).code == 0
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    frames = list(dict.fromkeys(row["frame"] for row in rows))[:3]
    told: dict[str, Any] = {}
    for k, frame in enumerate(frames):
        own = [row for row in rows if row["frame"] == frame]
        places = [
            (float(row["lon"]), float(row["lat"]), float(row["x"]) + 2.0 * k * j, float(row["y"]))
            for j, row in enumerate(own)
        ]
        qgis = tmp_path / f"{frame}.points"
        lines = ["mapX,mapY,sourceX,sourceY,enable"]
        lines += [f"{lon},{lat},{x + 0.5},{-y - 0.5},1" for lon, lat, x, y in places]
        qgis.write_text("\n".join(lines) + "\n", encoding="utf-8")
        table = tmp_path / f"{frame}.csv"
        lines = ["frame,x,y,lon,lat"]
        lines += [f"{frame},{x + 1.5 * k},{y},{lon},{lat}" for lon, lat, x, y in places]
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        for path in (qgis, table):
            words = ("import", store_copy, path, "--reviewer", "eva")
            told[f"{k}{path.suffix}"] = _ask(*words, "--no-keep", "--json")
            told[f"{k}{path.suffix} words"] = _ask(*words, "--frame", frame)
    kept = tmp_path / "kept.csv"
    told["exported"] = _ask("export", store_copy, "--out", kept, "--reviewed")
    return told | {"kept": read_table(kept.read_text(encoding="utf-8")) if kept.exists() else {}}


def scores(drawn: Path, satellites: Path, scenes: Path, store: Path, tmp_path: Path) -> Any:
    """`bench` of each kind, on labels near what is found, and a few that nothing is at."""
    told: dict[str, Any] = {}
    for kind, photo, extra in (
        ("lights", drawn / "night.png", ()),
        ("stars", drawn / "stars.png", ()),
        ("streaks", satellites / "station.png", ("--method", "radon")),
    ):
        said = invoke("detect", kind, photo, "--json", "--workers", 0, "--quiet")
        found = read_records(said.stdout)[0][kind]
        if kind == "streaks":
            names = ("x1", "y1", "x2", "y2")
            rows = [[one[n] + 2.0 for n in names] for one in found] + [[9, 9, 60, 80]]
        else:
            names = ("x", "y", "flux")
            rows = [
                [one["x"] + 0.4 * (k % 7), one["y"], one["flux"]] for k, one in enumerate(found)
            ]
            rows.append([20.0, 130.0, 4.0])
        labels = tmp_path / f"{kind}.csv"
        lines = [",".join(("path", *names)), *(f"{photo},{','.join(map(str, r))}" for r in rows)]
        labels.write_text("\n".join(lines) + "\n", encoding="utf-8")
        words = ("bench", kind, labels, *extra)
        told[kind] = _plain(read_records(invoke(*words, "--json", "--quiet").stdout))
        if kind == "lights":
            told["wide"] = _ask(*words, "--json", "--tolerance-px", 1.3, "--quiet")["out"]
            table = _ask(*words, "--quiet")["out"]
            told["table"] = [re.sub(r"\s+\S+\s*$", "", line) for line in table]
    plot = ("--plot", tmp_path / "plot")
    judged = invoke("bench", "scenes", scenes / "labels.csv", "--json", "--quiet", *plot)
    told["pictures"] = sorted(path.name for path in (tmp_path / "plot").iterdir())
    told["scenes"] = _plain(read_records(judged.stdout))
    return told


def registrations_scored(tmp_path: Path) -> Any:
    """Control points of true cameras, some of them moved, against those cameras."""
    from benchmarks.registration.truth import CAMERAS, read_reference_cameras

    lines = ["photo,x,y,lon,lat,probability"]
    for k, (photo, one) in enumerate(read_reference_cameras().items()):
        if (camera := one.camera) is None:
            continue
        for across, down in ((0.1, 0.1), (0.9, 0.15), (0.85, 0.9), (0.1, 0.9)):
            x, y = across * camera.width_px, down * camera.height_px
            lon, lat = map(float, camera.pixel_to_lonlat(x, y))
            if lat == lat:
                lines.append(f"{photo},{x},{y},{lon + 0.02 * (k % 3)},{lat},{1.0 - 0.02 * k}")
    answers = tmp_path / "answers.csv"
    answers.write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = ("bench", "registration", CAMERAS, answers)
    return _ask_all(json=(*words, "--json"), table=words)


def stores_told(store: Path, tmp_path: Path) -> Any:
    """Stores shown, put together, checked; settings, element sets and the catalogue in words."""
    one, other = (copy_store(store, tmp_path / name) for name in ("one", "other"))
    both, catalogue = tmp_path / "both.h5", tmp_path / "c.gpkg"
    elements = tmp_path / "iss.txt"
    elements.write_text(Elements().text(), encoding="ascii")
    told = _ask_all(
        show=("show", one),
        show_one=("show", one, "ISS030-E-184148"),
        merge=("merge", one, other, "--out", both),
        grow=("merge", other, "--out", both, "--grow", "--json"),
        verify=("verify", both),
        verify_json=("verify", one, "--json"),
        report=("report", one, "--out", tmp_path / "report.html"),
        tle=("tle", "info", elements),
        tle_at=("tle", "info", elements, "--time", "2016-05-03T03:00:00Z"),
        build=("catalogue", "build", one, "--out", catalogue, "--no-pictures", "--json"),
        places=("catalogue", "query", catalogue, "places", "--verdict", "all"),
        best=("catalogue", "query", catalogue, "best", "--verdict", "all"),
        coverage=("catalogue", "query", catalogue, "coverage", "--by", "lens"),
        changes=("catalogue", "query", catalogue, "changes", "--verdict", "all"),
        query=("catalogue", "query", catalogue, "SELECT frame, verdict, country FROM frames"),
        package=("catalogue", "package", catalogue, "--place=136.9,35.7", "--radius-km", 900,
                 "--out", tmp_path / "package", "--verdict", "all", "--json"),
        config=("config", "show"),
        no_frame=("show", one, "ISS001-E-999"),
        no_store=("show", tmp_path / "none.h5"),
        no_word=("export", one, "--out", tmp_path / "x.csv", "--where", "frame_id = 1"),
        half_a_query=("export", one, "--out", tmp_path / "x.csv", "--where", "frame ="),
    )  # fmt: skip
    for path in sorted((tmp_path / "package").rglob("*")):
        if path.suffix in (".csv", ".json", ".geojson", ".md", ".txt", ".html"):
            text = RUN.sub("", path.read_text(encoding="utf-8"))
            told[path.relative_to(tmp_path / "package").as_posix()] = text.splitlines()[:80]
    return told


def exported_otherwise(store: Path, tmp_path: Path) -> Any:
    """The formats' other options and choices, by what they write."""
    told: dict[str, Any] = {}
    for name, words in {
        "mysql.sql": ("--dialect", "mysql"),
        "postgis.sql": ("--dialect", "postgresql", "--where", "frame_index < 9"),
        "layers.geojson": ("--layers", "footprints,nadirs"),
        "where.csv": ("--where", "probability > 0.6 AND off_nadir_deg < 30"),
        "review.csv": ("--verdict", "review", "--table", "frames"),
        "all.csv": ("--verdict", "all", "--table", "frames"),
        "no.sql": ("--dialect", "oracle"),
        "no.csv": ("--crs", "EPSG:3857"),
    }.items():
        out = tmp_path / name
        told[f"{name} said"] = _ask("export", store, "--out", out, *words)
        if out.is_file():
            text = out.read_text(encoding="utf-8")
            told[name] = read_table(text) if out.suffix == ".csv" else read_lines(text)
    return told


def headers_of_lenses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a frame takes from its header, a lens profile and options; tables of photos in words."""
    photo = tmp_path / "ISS030-E-184140.jpg"
    shutil.copy(skies.save(skies.dim_sky(200, 300), tmp_path / "a.png"), tmp_path / "b.png")
    from PIL import Image

    exif = Image.Exif()
    exif.update({271: "NIKON CORPORATION", 272: "NIKON D3S", 306: "2012:03:28 16:42:41"})
    exif.get_ifd(0x8769).update(
        {36867: "2012:03:28 16:42:41", 37386: 85.0, 33434: 0.25, 33437: 1.4, 34855: 3200}
    )
    Image.open(tmp_path / "a.png").convert("RGB").save(photo, exif=exif)
    table = tmp_path / "frames.csv"
    table.write_text(
        "frame_id,gmt_date,gmt_time,nadir_lat,nadir_lon,camera,focal_mm,altitude_nmi,iso\n"
        "ISS030-E-184140,20120328,164241,35.7,136.9,NIKON D3S,85,212,3200\n"
        "ISS030-E-184141,20120328,164242,35.7,,NIKON D3S,x,212,3200\nISS030-E-1,,,,,,,,\n",
        encoding="utf-8",
    )
    early = [shutil.copy(tmp_path / "b.png", tmp_path / f"{name}.png") for name in EARLY]
    store = fsspec.filesystem("memory")
    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda _: type(store))
    monkeypatch.setattr(fsspec, "filesystem", lambda _, **_options: store)
    store.pipe("gs://a.png", (tmp_path / "a.png").read_bytes())
    preview = ("register", photo, "--dry-run", "--json", "--workers", 0)
    fetched = ("gs://a.png", "gs://b.png", "--workers", 0, "--lights", LIGHTS)
    lens = ("--focal-mm", 50, "--pixel-pitch-um", 8.45, "--time", "2012-03-28T16:42:42Z")
    return _ask_all(
        own=preview,
        with_table=(*preview, "--metadata", table),
        remote=("register", *fetched, "--store", tmp_path / "run.h5", "--json"),
        in_words=("register", *fetched, photo, "--dry-run"),
        share=("register", tmp_path, "--dry-run", "--json", "--workers", 0, "--shard", "2/3"),
        mission=("register", *early, "--dry-run", "--json", "--workers", 0, "--centre", "2.3,48.9"),
        told=(*preview, *lens, "--nadir", "136.9,35.7", "--altitude-km", 390),
        read=("frames", "read", table, "--json"),
        written=("frames", "read", table, "--out", tmp_path / "out.csv"),
        dark=("classify", tmp_path / "b.png", "--quality", "--workers", 0),
        seen=("detect", "stars", tmp_path / "b.png", photo, "--workers", 0),
    )
