"""What is worked out of many photos: lightning, radiometry, passes, catalogues, reports."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from tests.figures.summary import block_means, read_lines, read_records, read_table
from tests.world.elements import Elements
from tests.world.lightning import CLOUD_M, Pulse, make_time_lapse, write_lis
from tests.world.program import run
from tests.world.radiometry import SceneWish, draw_radiometry_scene, write_trial
from tests.world.results import nadir_camera, proposal, solved
from tests.world.runs import ELEMENTS
from tests.world.stores import write_store


def lightning_matched(tmp_path: Path) -> Any:
    lapse = make_time_lapse(tmp_path, late_s=37.4, offset_km=(3.0, -2.0))
    words = ("--flashes", lapse.flashes, "--json")
    said = run("lightning", lapse.store, *words, "--glm", *lapse.glm)
    assert said.code == 0, said.err
    table = run("lightning", lapse.store, *words[:2], "--glm", *lapse.glm)
    few = run("lightning", lapse.store, *words, "--clock-window", 5, "--glm", *lapse.glm[6:8])
    begin = datetime(2020, 1, 1, 3, tzinfo=UTC)
    camera = nadir_camera(-70.0, 14.1)
    pulses = [Pulse(1.0 + 0.1 * k, -70.0 + 0.01 * k, 14.0, flash=k // 3) for k in range(9)]
    path = np.array(camera.position_ecef_m) + np.arange(9.0)[:, None] * (5000.0, -3000.0, 4000.0)
    lis = write_lis(tmp_path / "lis.nc", begin, pulses, path)
    stamp = (begin + timedelta(seconds=1.1)).isoformat().replace("+00:00", "Z")
    made = replace(proposal("ISS062-E-1"), time_utc=stamp, solved=solved(camera))
    x, y = camera.lonlat_to_pixel(-70.0, 14.0, CLOUD_M)
    flashes = tmp_path / "one.csv"
    flashes.write_text(f"path,x,y,exposure_s\n{made.path},{x:.4f},{y:.4f},0.5\n")
    one = write_store(tmp_path / "one.h5", [made])
    by_lis = run("lightning", one, "--flashes", flashes, "--lis", lis)
    assert by_lis.code == 0, by_lis.err
    return {
        "said": read_records(said.out),
        "lis": read_table(by_lis.out),
        "table": read_table(table.out),
        "few": read_records(few.out),
        "told": [read_lines(one.err) for one in (said, table, few, by_lis)],
    }


def radiometry(tmp_path: Path) -> Any:
    wish = SceneWish(seed=100, width_px=480, height_px=320, reach_deg=1.5)
    store = write_trial(draw_radiometry_scene(wish), tmp_path)
    out = tmp_path / "out"
    words = ("--lights", tmp_path / "lights.tif", "--out", out, "--json")
    said = run("radiometry", store, *words)
    assert said.code == 0, said.err
    told = read_lines(said.err)
    return {"said": read_records(said.out), "files": _read_files(out), "told": told}


def _read_files(folder: Path) -> dict[str, Any]:
    """Rasters as block means, tables as columns."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.name.replace(".", "_")
        if path.suffix == ".tif":
            with rasterio.open(path) as raster:
                bands = np.moveaxis(raster.read(masked=True).filled(0).astype(float), 0, -1)
                found[name] = {"means": block_means(bands), "transform": list(raster.transform)}
        elif path.suffix == ".csv":
            found[name] = read_table(path.read_text(encoding="utf-8"))
        elif path.suffix in (".json", ".geojson"):
            found[name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def element_sets(tmp_path: Path) -> Any:
    one = tmp_path / "one.txt"
    one.write_text(Elements().text(), encoding="ascii")
    asked = [
        (ELEMENTS, "2014-01-17T07:45:50Z"),
        (ELEMENTS, "2014-02-03T12:00:00Z"),
        (ELEMENTS, "2014-01-25T00:00:00.5Z"),
        (one, "2016-05-03T03:00:00Z"),
    ]
    return [
        read_records(run("tle", "info", path, "--json", "--time", time).out) for path, time in asked
    ]


def tasking(tmp_path: Path) -> Any:
    tle, sites, out = tmp_path / "iss.txt", tmp_path / "sites.csv", tmp_path / "plan.csv"
    tle.write_text(Elements().text(), encoding="ascii")
    sites.write_text(
        "name,lon,lat,priority\nQuito,-78.5,-0.2,1\nMadrid,-3.7,40.4,9\nPole,0,-89,99\n"
        "Suva,178.4,-18.1,3\n",
        encoding="utf-8",
    )
    words = (
        *("catalogue", "tasking", "--tle", tle, "--places", sites, "--out", out),
        *("--time", "2016-05-02T00:00:00Z", "--days", 10, "--max-off-nadir-deg", 50),
    )
    said = run(*words, "--json")
    assert said.code == 0, said.err
    plan = read_table(out.read_text(encoding="utf-8"))
    moonless = run(*words, "--force", "--max-moon-deg", 0, "--passes", 9, "--json")
    told = [read_lines(one.err) for one in (said, moonless, run(*words, "--force"))]
    return {
        "said": read_records(said.out),
        "plan": plan,
        "moonless": read_records(moonless.out),
        "told": told,
    }


def catalogue(store: Path, tmp_path: Path) -> Any:
    shutil.copytree(store.parent, tmp_path / "run")
    out = tmp_path / "c.gpkg"
    said = run("catalogue", "build", tmp_path / "run" / "run.h5", "--out", out, "--quiet")
    assert said.code == 0, said.err
    form = ("--format", "json")
    every = ("--verdict", "all", "--limit", 0)
    asked: dict[str, tuple[object, ...]] = {
        "frames": ("query", out, "SELECT * FROM frames ORDER BY frame_index"),
        "places": ("query", out, "places", *every),
        "best": ("query", out, "best", *every),
        "coverage": ("query", out, "coverage"),
        "by_month": ("query", out, "coverage", "--by", "month"),
        "by_country": ("query", out, "coverage", "--by", "country"),
        "changes": ("query", out, "changes", *every, "--least-days", 1),
    }
    answers = {name: run("catalogue", *words, *form) for name, words in asked.items()}
    assert all(one.code == 0 for one in answers.values()), [x.err for x in answers.values()]
    return {name: read_records(one.out) for name, one in answers.items()}


def report(store: Path) -> Any:
    said = run("report", store, "--json")
    assert said.code == 0, said.err
    shown = run("show", store, "--format", "csv")
    frame = run("show", store, "ISS030-E-184145", "--json")
    words = run("show", store, "ISS030-E-184145")
    return {
        "figures": json.loads(said.out),
        "frames": read_table(shown.out),
        "frame": read_records(frame.out),
        "words": words.out.splitlines(),
    }
