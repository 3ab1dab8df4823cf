"""Figures of `report --json`, each worked out anew with pandas from the columns of the store."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps
from shapely import Point, Polygon

from tests.world.program import run
from tests.world.results import nadir_camera, nothing_found, proposal, solved
from tests.world.shared import make_once
from tests.world.stores import CORNERS, unplaced, write_store

STATES = ("accepted", "review", "no_match", "failed", "rejected")
SPEED_KM_S = 7.66


def results(count: int = 60) -> Iterator[Any]:
    """Photos of three bodies, three days and many numbers, most of them accepted."""
    rng = np.random.default_rng(5)
    for n in range(count):
        name, verdict = f"ISS030-E-{n}", ("accepted", "review", "accepted")[n % 3]
        made = proposal(name, verdict)
        assert made.nadir is not None
        assert made.fit is not None
        if n % 10 == 9:
            yield unplaced("few_lights", (float(n), -float(n)), frame=name, path=f"{name}.jpg")
            continue
        if n % 13 == 5:
            yield replace(nothing_found(name), verdict="failed", path=f"{n}.jpg", camera_body=None)
            continue
        camera = replace(nadir_camera(), focal_px=float(rng.normal(1511.0, 30.0)))
        yield replace(
            made,
            path=f"{name}.jpg",
            probability=float(rng.choice([0.9, 0.99, 0.9991, 0.99995])),
            probability_low=None,
            probability_high=None,
            category=("cities", "")[n % 2],
            camera_body=("NIKON D3S", "NIKON D4", None)[n % 7 % 3],
            focal_mm=(85.0, 50.0)[n % 4 // 3],
            time_utc=f"2012-03-{28 + n // 4 % 3}T15:46:{n % 60:02}Z",
            seconds=float(np.round(rng.exponential(3.0), 3)),
            lights=("Black Marble 2016", "streets, OSM", "day, Blue Marble")[n % 5 % 3],
            nadir=replace(
                made.nadir,
                source=("tle", "tle", "tle", "option")[n % 4],
                tle_age_h=float(rng.exponential(20.0)),
                sigma_along_km=float(rng.exponential(10.0)),
            ),
            solved=solved(camera, float(rng.normal(10.0, 6.0))),
            fit=replace(
                made.fit,
                ncc=float(rng.uniform(0.3, 0.9)),
                residual_px=float(rng.exponential(1.0)),
                residual_m=float(rng.exponential(200.0)),
                matched_lights=int(rng.integers(1, 300)),
            ),
        )


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], pd.DataFrame]:
    """What the report tells of a store, and its photos as a table."""
    folder = make_once(
        tmp_path_factory, "figures", lambda made: write_store(made / "run.h5", results())
    )
    store = folder / "run.h5"
    (figures,) = run("report", store, "--json").records
    columns: dict[str, Any] = {}
    with h5py.File(store) as file:
        for group in ("provenance", "frames"):
            for name, column in file[group].items():
                values = column[:]
                if values.ndim == 1:
                    text = values.dtype.kind == "S"
                    columns[name] = [one.decode() for one in values] if text else values
        points = pd.DataFrame(
            {name: file[f"control_points/{name}"][:] for name in ("frame_index", "sigma_m")}
        )
    photos = pd.DataFrame(columns).set_index("frame_index")
    photos["worst_m"] = points.groupby("frame_index").sigma_m.max()
    photos["kind"] = (
        photos.lights.str.split(",").str[0].where(photos.lights.str.contains(","), "lights")
    )
    return figures, photos


def counts(photos: pd.DataFrame) -> dict[str, Any]:
    found = Counter(photos.verdict)
    return {"photos": len(photos), "verdicts": {name: found[name] for name in STATES}}


def is_spread_of(figures: dict[str, Any], values: pd.Series) -> bool:
    """Whether a distribution is that of the values, worked out anew."""
    values = values[np.isfinite(values)]
    assert figures["count"] == len(values)
    for name, share in (("p05", 5), ("p25", 25), ("p50", 50), ("p75", 75), ("p95", 95)):
        assert figures[name] == pytest.approx(np.percentile(values, share))
    assert figures["mean"] == pytest.approx(values.mean())
    return True


def test_verdicts_are_counted_by_category_and_camera(
    told: tuple[dict[str, Any], pd.DataFrame],
) -> None:
    figures, photos = told
    assert {name: figures[name] for name in ("photos", "verdicts")} == counts(photos)
    for column in ("category", "camera_body"):
        groups = photos.groupby(photos[column].replace("", "unknown"))
        expected = [{column: name} | counts(some) for name, some in groups]
        expected.sort(key=lambda one: (-one["photos"], one[column]))
        assert figures[f"by_{column}"] == expected


def test_how_sure_and_how_exact_proposals_are(told: tuple[dict[str, Any], pd.DataFrame]) -> None:
    figures, photos = told
    told_of, accepted = figures["reliability"], photos[photos.verdict == "accepted"]
    assert told_of["accepted"] == len(accepted)
    assert told_of["expected_right"] == pytest.approx(accepted.probability.sum())
    assert told_of["expected_wrong"] == pytest.approx((1.0 - accepted.probability).sum())
    assert list(told_of["probability"]) == ["accepted", "review"]
    photos = photos.assign(margin=photos.ncc - photos.runner_up_ncc)
    for verdict in ("accepted", "review"):
        some = photos[photos.verdict == verdict]
        by_lights = some[some.kind == "lights"]
        assert len(by_lights) < len(some)
        assert is_spread_of(told_of["probability"][verdict], some.probability)
        spreads = told_of["distributions"]
        for name, values in (
            ("sigma_m", some.worst_m),
            ("residual_m", some.residual_m),
            ("residual_px", some.residual_px),
            ("margin", by_lights.margin),
            ("matched_lights", by_lights.matched_lights),
            ("off_nadir_deg", some.off_nadir_deg),
        ):
            assert is_spread_of(spreads[name][verdict], values), name


def middle_spread(values: Sequence[float]) -> tuple[float, float]:
    middle = float(np.median(values))
    return middle, 1.4826 * float(np.median(np.abs(np.array(values) - middle)))


def agreeing(offsets_s: Sequence[float]) -> float:
    return max(sum(low <= v <= low + 5.0 for v in offsets_s) for low in offsets_s) / len(offsets_s)


def test_clocks_by_body_and_day_and_lenses_by_body(
    told: tuple[dict[str, Any], pd.DataFrame],
) -> None:
    figures, photos = told
    teach = photos[(photos.verdict == "accepted") & (photos.nadir_source == "tle")]
    teach = teach[teach.camera_body != ""]
    groups = teach.groupby([teach.camera_body, teach.time_utc.str[:10]])
    assert figures["clocks"]["groups"] == len(groups) == len(figures["clocks"]["rows"]) > 4
    for row, ((body, day), some) in zip(figures["clocks"]["rows"], groups, strict=True):
        assert (row["camera_body"], row["day"], row["photos"]) == (body, day, len(some))
        offsets = some.along_track_offset_s
        middle, spread = middle_spread(offsets.tolist())
        assert row["median_s"] == pytest.approx(middle)
        assert row["spread_s"] == (pytest.approx(spread) if len(some) > 1 else None)
        assert (row["lowest_s"], row["highest_s"]) == (offsets.min(), offsets.max())
        assert row["agree"] == pytest.approx(agreeing(offsets.tolist()))
        sigma_s = some.sigma_along_km.median() / SPEED_KM_S
        assert row["tle_sigma_s"] == pytest.approx(sigma_s, rel=0.003)
        assert row["tle_age_h"] == pytest.approx(some.tle_age_h.median())
    lenses = teach.groupby([teach.camera_body, teach.focal_mm])
    assert figures["lenses"]["groups"] == len(lenses)
    for row, ((body, focal_mm), some) in zip(figures["lenses"]["rows"], lenses, strict=True):
        ratio = some.focal_px / (1e3 * focal_mm / some.pixel_pitch_um)
        middle, spread = middle_spread(ratio.tolist())
        assert (row["camera_body"], row["focal_mm"], row["photos"]) == (body, focal_mm, len(some))
        assert (row["median"], row["spread"]) == (pytest.approx(middle), pytest.approx(spread))
        assert (row["lowest"], row["highest"]) == pytest.approx((ratio.min(), ratio.max()))


def test_time_spent_reasons_and_where_positions_came_from(
    told: tuple[dict[str, Any], pd.DataFrame],
) -> None:
    figures, photos = told
    assert is_spread_of(figures["times"]["seconds"], photos.seconds)
    assert figures["times"]["total_seconds"] == pytest.approx(photos.seconds.sum())
    assert figures["times"]["first_utc"] == figures["times"]["last_utc"] == "2026-11-20T12:00:00Z"
    origins = figures["origins"]
    assert origins["positions_from"] == dict(
        Counter(source or "none" for source in photos.nadir_source).most_common()
    )
    assert origins["lights"] == dict(Counter(photos.lights).most_common())
    assert is_spread_of(origins["tle_age_h"], photos.tle_age_h[photos.nadir_source == "tle"])
    reasons = {one["code"]: one for one in figures["reasons"]}
    assert list(reasons) == sorted(reasons, key=lambda code: (-reasons[code]["photos"], code))
    for code, one in reasons.items():
        some = photos[[code in listed.split(",") for listed in photos.reasons]]
        assert {name: one[name] for name in ("photos", "verdicts")} == counts(some)


def test_photos_are_counted_where_they_looked_by_two_degrees(
    told: tuple[dict[str, Any], pd.DataFrame],
) -> None:
    figures, photos = told
    # A nadir is no place
    lon, lat, there = photos.centre_lon, photos.centre_lat, photos.centre_lon.notna()
    cells: dict[tuple[int, int], Counter[str]] = {}
    for west, south, verdict in zip(lon[there], lat[there], photos.verdict[there], strict=True):
        cell = 2 * math.floor(west / 2.0), 2 * math.floor(south / 2.0)
        cells.setdefault(cell, Counter())[verdict] += 1
    places = figures["places"]
    assert (places["photos"], places["cell_deg"]) == (int(there.sum()), 2)
    assert places["nadirs"] == int((photos.nadir_lon.notna() & ~there).sum()) > 0
    assert [(one["lon"], one["lat"]) for one in places["cells"]] == sorted(cells)
    for one in places["cells"]:
        assert one["verdicts"] == {name: cells[one["lon"], one["lat"]][name] for name in STATES}


def test_of_more_than_500_groups_those_with_most_photos_are_told_in_order(tmp_path: Path) -> None:
    """Of those with equally many the first."""
    made = [
        replace(
            proposal(f"ISS030-E-{n}"),
            camera_body=f"body {n % 503:03}",
            control_points=(),
            hypotheses=(),
        )
        for n in range(505)
    ]
    (figures,) = run("report", write_store(tmp_path / "run.h5", made), "--json").records
    for told_of in (figures["clocks"], figures["lenses"]):
        assert told_of["groups"] == 503
        bodies = [row["camera_body"] for row in told_of["rows"]]
        assert bodies == [f"body {n:03}" for n in range(500)]


def data_of(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    return dict(json.loads(found[1]))


@pytest.mark.parametrize("lon", [10.0, 179.7, -179.8])
def test_outlines_are_the_ground_that_a_photo_shows_around_once(tmp_path: Path, lon: float) -> None:
    """Of four corners these; where some see the sky a ring that every pixel's ground is in."""
    camera = nadir_camera(lon, 35.0, tilt_deg=66.0)  # its upper third is sky
    down = nadir_camera(lon, 35.0)
    corners = [tuple(map(float, down.pixel_to_lonlat(x, y))) for x, y in CORNERS]
    made = [
        replace(proposal("A"), solved=solved(down), footprint=tuple(corners)),
        replace(proposal("B"), solved=solved(camera), footprint=(None, None, *corners[2:])),
        nothing_found("C"),
    ]
    page = tmp_path / "r.html"
    assert run("report", write_store(tmp_path / "run.h5", made), "--out", page).code == 0
    by_corners, ring, none = (frame["outline"] for frame in data_of(page)["frames"])
    assert none == []
    for (west, south), (corner_lon, corner_lat) in zip(by_corners, corners, strict=True):
        turn = (corner_lon - corners[0][0] + 180.0) % 360.0 - 180.0
        assert (west, south) == pytest.approx((corners[0][0] + turn, corner_lat), abs=0.0051)
    area = Polygon(ring)
    assert area.is_valid
    assert -180.01 <= ring[0][0] <= 180.01
    x, y = (side.ravel() for side in np.meshgrid(np.arange(5, 640, 30), np.arange(180, 426, 30)))
    at_lon, at_lat = camera.pixel_to_lonlat(x, y)
    seen = np.isfinite(at_lon)
    at_lon = (at_lon[seen] - ring[0][0] + 180.0) % 360.0 - 180.0 + ring[0][0]
    inside = [
        area.buffer(0.5).contains(Point(*one)) for one in zip(at_lon, at_lat[seen], strict=True)
    ]
    assert np.mean(inside) > 0.97


def picture_of(page: Path, frame: int) -> Image.Image:
    address = data_of(page)["frames"][frame]["thumbnail"]
    return Image.open(io.BytesIO(b64decode(address.split(",")[1])))


def test_thumbnails_are_turned_as_exif_says_whichever_of_the_eight_ways(
    store_copy: Path, tmp_path: Path
) -> None:
    """As Pillow turns the same photo; a corner of it is lit, and its sides differ."""
    photo = store_copy.parent / "photos" / "ISS030-E-184140.jpg"
    with h5py.File(store_copy, "r+") as file:
        file["frames/orientation"][:8] = np.arange(1, 9)
    stored = Image.new("RGB", (640, 426), (10, 10, 10))
    stored.paste((250, 60, 60), (0, 0, 200, 100))
    with h5py.File(store_copy, "r+") as file:
        for number in range(8):
            path = photo.with_name(f"ISS030-E-{184140 + number}.jpg")
            stored.save(path, quality=95)
            path.write_bytes(path.read_bytes() + bytes([number]))
            file["frames/sha256"][number] = hashlib.sha256(path.read_bytes()).hexdigest().encode()
    out = tmp_path / "report.html"
    assert run("report", store_copy, "--out", out).code == 0
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = io.BytesIO()
        stored.save(content, "jpeg", exif=exif, quality=95)
        right = ImageOps.exif_transpose(Image.open(content))
        found = picture_of(out, orientation - 1)
        assert found.width / found.height == pytest.approx(right.width / right.height, rel=0.03)
        alike = np.asarray(right.resize(found.size), float) - np.asarray(found, float)
        assert np.abs(alike).mean() < 8.0, orientation
