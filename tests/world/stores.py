"""A store of 40 frames made by hand, beside photos of them: every verdict and every odd value.

By number: 0-7 accepted, 8-13 review, 14-17 no_match, 18-19 no_match with as little as can be known,
20-23 failed, 24-27 across the 180th meridian, 28-31 at the poles, 32-39 with hostile names.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from matchers.geometry.camera import Camera
from regengine.store.reasons import Reason
from regengine.store.result import DetectedLights, FrameResult
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.world.results import control_point, nadir_camera, nothing_found, proposal, solved
from tests.world.shared import make_once

WIDTH_PX, HEIGHT_PX = 640, 426
CORNERS = ((0, 0), (WIDTH_PX - 1, 0), (WIDTH_PX - 1, HEIGHT_PX - 1), (0, HEIGHT_PX - 1))
POINTS = ((100, 90), (520, 80), (540, 330), (90, 340))  # pixels of the control points
# Longitude, latitude, tilt of the camera in degrees; tilted by 62, the upper corners see the sky
PLACES = (
    (136.9, 35.7, 0), (-3.7, 40.4, 12), (77.2, 28.6, 30), (-74.0, 40.7, 45),
    (18.4, -33.9, 8), (2.35, 48.85, 62), (151.2, -33.8, 20), (0.0, 0.0, 5),
    (31.2, 30.0, 25), (-99.1, 19.4, 35), (28.9, 41.0, 62), (106.8, -6.2, 4), (-43.2, -22.9, 18),
    (174.8, -36.8, 2),
)  # fmt: skip
MERIDIAN = ((179.9, -17.0, 0), (-179.8, 65.0, 10), (-180.0, 0.0, 3), (179.2, 52.0, 25))
POLES = ((10.0, 89.9, 0), (-120.0, 86.0, 5), (45.0, -89.9, 0), (-60.0, -85.0, 8))
HOSTILE = (
    "<script>alert('1')</script> & \"two\"",
    "=HYPERLINK(1+1);cmd|' -C calc'!A1",
    "-- '; DROP TABLE frames; --",
    "Größe 東京, 夜\u202egpj.exe",
    "%2e%2e%2f {{7*7}} $(id) `id` \\u0000",
    "  blanks, commas,\tand tabs ",
    "n" * 180,
    "ESC\x1b[31m\x07 and a new\nline",
)


def placed(name: str, place: tuple[float, float, float], verdict: str) -> FrameResult:
    """A proposal whose camera, points and footprint agree."""
    lon, lat, tilt_deg = place
    camera = nadir_camera(lon, lat, tilt_deg=tilt_deg)
    made = proposal(name, verdict)
    centre_lon, centre_lat = camera.pixel_to_lonlat((WIDTH_PX - 1) / 2, (HEIGHT_PX - 1) / 2)
    return replace(
        made,
        probability=0.9997 if verdict == "accepted" else 0.71,
        probability_low=0.9989 if verdict == "accepted" else 0.6,
        probability_high=0.9999 if verdict == "accepted" else 0.8,
        orientation=1,
        nadir=replace(made.nadir, lon=(lon + 180.1) % 360 - 180, lat=lat),
        solved=solved(camera, -13.7),
        control_points=tuple(control_point(x, y + 40, camera) for x, y in POINTS),
        footprint=tuple(ground_of(camera, x, y) for x, y in CORNERS),
        hypotheses=tuple(
            replace(
                one,
                solved=solved(camera, -13.7 + 9 * one.rank),
                centre_lon=float(centre_lon),
                centre_lat=float(centre_lat),
            )
            for one in made.hypotheses
        ),
        detections=DetectedLights(
            x=np.array([-0.5, 639.5, *(x for x, _ in POINTS)]),
            y=np.array([-0.5, 425.5, *(y + 40 for _, y in POINTS)]),
            contrast=np.array([0.2, 0.3, 1.0, 2.0, 1.5, 0.9]),
            matched=np.array([0, 0, 1, 1, 1, 1], np.uint8),
        ),
    )


def ground_of(camera: Camera, x: float, y: float) -> tuple[float, float] | None:
    lon, lat = camera.pixel_to_lonlat(x, y)
    return None if np.isnan(lon) else (float(lon), float(lat))


def make_results() -> list[FrameResult]:
    """The 40 frames, in the order of their numbers."""
    results = [
        placed(f"ISS030-E-{184140 + n}", place, "accepted" if n < 8 else "review")
        for n, place in enumerate(PLACES)
    ]
    unmatched = nothing_found()
    for n in range(4):
        name = f"ISS041-E-{1000 + n}"
        known = replace(
            proposal(name), verdict="no_match", probability=0.02, solved=None,
            control_points=(), footprint=None, footprint_diagonal_km=None, fit=None,
            hypotheses=(), orientation=(1, 3, 6, 8)[n],
            reasons=(Reason(code="few_lights", values={"message": "Five lights are too few."}),),
        )  # fmt: skip
        results.append(known)
    results += [
        replace(unmatched, frame=f"ISS001-E-{n}", path=f"photos/ISS001-E-{n}.jpg") for n in (1, 2)
    ]
    results += [
        replace(
            unmatched, frame=f"broken {n}", path=f"photos/broken {n}.jpg", verdict="failed",
            width_px=None, height_px=None, sha256="",
            reasons=(
                Reason(code="unreadable", values={"message": f"photos/broken {n}.jpg is cut off."}),
            ),
        )
        for n in range(4)
    ]  # fmt: skip
    for places, mission in ((MERIDIAN, 55), (POLES, 61)):
        results += [
            placed(f"ISS{mission:03}-E-{n}", place, ("accepted", "review")[n % 2])
            for n, place in enumerate(places)
        ]
    for n, name in enumerate(HOSTILE):
        stem = name.replace("/", "_")
        made = placed(name, PLACES[n], ("accepted", "review")[n % 2])
        reason = Reason(code="low_margin", values={"message": f"Two cameras fit {name} alike."})
        results.append(
            replace(
                made,
                path=f"photos/{stem}.jpg",
                camera_body=name,
                category=name,
                reasons=(reason,) if made.verdict == "review" else (),
            )
        )
    assert len(results) == 40
    begun = datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
    return [
        replace(
            result,
            time_utc=result.time_utc and f"{begun + timedelta(minutes=7 * n):%Y-%m-%dT%H:%M:%SZ}",
            camera_body=None if n % 5 == 3 else result.camera_body,
            focal_mm=None if n % 7 == 5 else result.focal_mm,
        )
        for n, result in enumerate(results)
    ]


def unplaced(code: str, nadir: tuple[float, float] = (2.0, 48.0), **known: Any) -> FrameResult:
    """A result without a proposal, at a nadir."""
    made = proposal()
    nothing: dict[str, Any] = dict.fromkeys(
        ("probability", "solved", "fit", "footprint", "footprint_diagonal_km")
    )
    nothing |= {"verdict": "no_match", "control_points": (), "hypotheses": ()}
    place = replace(made.nadir, lon=nadir[0], lat=nadir[1])
    reasons = (Reason(code=code, values={"message": "Why."}),)
    return replace(made, nadir=place, reasons=reasons, **nothing, **known)


def make_store(folder: Path) -> None:
    """Write ``run.h5`` and the folder ``photos`` beside it: JPEGs of the results' lights."""
    (folder / "photos").mkdir()
    results = make_results()
    for number, result in enumerate(results):
        image = np.full((HEIGHT_PX, WIDTH_PX, 3), (8 + number, 6, 5), np.uint8)
        for x, y in POINTS:
            cv2.circle(image, (x, y + 40), 3, (200, 230, 255), -1)
        content = bytes(cv2.imencode(".jpg", image)[1]) + bytes([number])  # no two are the same
        is_whole = result.verdict != "failed"
        (folder / result.path).write_bytes(content if is_whole else content[:100])
        if is_whole:
            results[number] = replace(result, sha256=hashlib.sha256(content).hexdigest())
    write_store(folder / "run.h5", results)


PROCESSED_UTC = "2026-11-20T12:00:00Z"
SETTINGS = '{"lights": ["lights.tif"]}', "0" * 64  # of a run, and their hash


def write_store(
    path: Path,
    results: Iterable[FrameResult],
    processed_utc: str = PROCESSED_UTC,
    settings: tuple[str, str] = SETTINGS,
    killed: Path | None = None,
) -> Path:
    """Write results into a store as a run does, with its settings and their hash; its path.

    In the folder ``killed`` is what a run leaves that is killed when all were safe: a journal.
    """
    with StoreWriter(path) as writer:
        for number, result in enumerate(results):
            writer.add(
                StoredFrame(
                    frame_index=number,
                    result=result,
                    parameters=settings[0],
                    parameters_sha256=settings[1],
                    processed_utc=processed_utc,
                )
            )
        writer.flush()
        if killed is not None:
            shutil.copytree(path.parent, killed, ignore=shutil.ignore_patterns(".*"))
    return path


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``run.h5`` of 40 hand-made frames with ``photos``, never changed; see `store_copy`."""
    return make_once(tmp_path_factory, "store", make_store) / "run.h5"


@pytest.fixture
def store_copy(store: Path, tmp_path: Path) -> Path:
    """A copy of `store` and its photos that a test may change."""
    return Path(shutil.copytree(store.parent, tmp_path / "store")) / "run.h5"
