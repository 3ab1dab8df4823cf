"""What commands print, refuse and export, and what the review answers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import fsspec
import pytest
import shapely

from tests.figures.summary import (
    RUN,
    read_lines,
    read_picture,
    read_records,
    read_table,
)
from tests.world import skies
from tests.world.elements import Elements
from tests.world.exports import export
from tests.world.pages import copy_store, serve
from tests.world.program import invoke, run
from tests.world.runs import ELEMENTS, LIGHTS
from tests.world.samples import sample_store

NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
NO_NUMBER = re.compile(r"[\w:.-]*/[\w./-]+|\b[0-9a-f]{32,}\b")
SOME = ("--where", "frame_index IN (0, 5, 24)", "--verdict", "accepted,review")
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
        for path in ("frames/1/photo.jpg", "frames/1/preview.jpg", "maps/lights/6/5/25.png"):
            import io

            found[path] = read_picture(io.BytesIO(client.ask("GET", f"/api/{path}").content))
    return _plain(found)


def _text(answer: Any) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text.splitlines()


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
        read=("archive", "read", table, "--json"),
        written=("archive", "read", table, "--out", tmp_path / "out.csv"),
        dark=("classify", tmp_path / "b.png", "--quality", "--workers", 0),
        seen=("detect", "stars", tmp_path / "b.png", photo, "--workers", 0),
    )


def _export(store: Path, out: Path, *words: object) -> Path:
    said = run("export", store, "--out", out, *SOME, *words)
    assert said.code == 0, said.err
    return out


def exported_tables(store: Path, tmp_path: Path) -> Any:
    points = _export(store, tmp_path / "points.csv")
    frames = _export(store, tmp_path / "frames.csv", "--table", "frames")
    shapes = _export(store, tmp_path / "a.geojson")
    sql = _export(store, tmp_path / "a.sql", "--format", "sql", "--dialect", "postgresql")
    return {
        "points": read_table(points.read_text(encoding="utf-8")),
        "frames": read_table(frames.read_text(encoding="utf-8")),
        "geojson": [
            {"geometry": one["geometry"], **one["properties"]}
            for one in json.loads(shapes.read_text(encoding="utf-8"))["features"]
        ],
        "gpkg": _read_layers(_export(store, tmp_path / "a.gpkg")),
        "sql": _numbers(sql.read_text(encoding="utf-8")),
    }


def _read_layers(path: Path) -> dict[str, Any]:
    import pyogrio

    found = {}
    for name, _ in pyogrio.list_layers(path):
        table = pyogrio.read_dataframe(path, layer=name)
        bounds = table.geometry.bounds.to_numpy()
        plain = table.drop(columns="geometry").to_dict("list")
        found[str(name)] = {
            "bounds": bounds,
            "area": shapely.area(table.geometry.to_numpy()),
            **plain,
        }
    return found


def _numbers(text: str) -> list[float]:
    """Numbers of a text, but for those in paths and sums."""
    return [float(word) for word in NUMBER.findall(NO_NUMBER.sub("", text))]


def overlays(store: Path, tmp_path: Path) -> Any:
    near_pole = ("--where", "ABS(centre_lat) > 80", "--verdict", "all")
    for folder, words in (("o", ("--lights", LIGHTS, *SOME[:2])), ("p", near_pole)):
        said = run("overlay", store, *words, "--out", tmp_path / folder, "--json")
        assert said.code == 0, said.err
    return {
        f"{path.parent.name}{path.stem}": read_picture(path)
        for path in sorted(tmp_path.glob("[op]/*.png"))
    }
