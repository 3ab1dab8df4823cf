"""Results as large as real ones, made up quickly: for experiments with the store alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef, local_axes
from regengine.io.atomic import provide_replacements
from regengine.result import (
    ControlPoint,
    DetectedLights,
    Fit,
    FrameResult,
    Hypothesis,
    NadirInput,
    Reason,
    SolvedCamera,
)
from regengine.store.file import GrowingStore
from regengine.store.journal import decode_lines, encode_frame
from regengine.store.rows import StoredFrame, Table, Tables
from regengine.store.schema import TEXT_COLUMNS
from regengine.store.writer import root_attributes

BLOCK = 4096  # frames that are encoded at once
DISTINCT = 1024  # results, as many as a chunk has rows; all others repeat them under other names
VERDICTS = ("accepted", "review", "no_match", "no_match", "failed")  # a fifth each, as it may be
LIGHTS = 20  # a frame
PARAMETERS = json.dumps({f"setting_{number:02d}": number / 7 for number in range(40)})
PARAMETERS_SHA256 = hashlib.sha256(PARAMETERS.encode()).hexdigest()


def make_up_result(number: int) -> FrameResult:
    """One result; its place, verdict and numbers follow from its number alone."""
    chance = np.random.default_rng(number)
    verdict = VERDICTS[number % len(VERDICTS)]
    lon, lat = float(chance.uniform(-180, 179)), float(chance.uniform(-51, 51))
    east, north, up = local_axes(lon, lat)
    downward = Rotation.from_matrix(np.array([east, -north, -up]).T).as_quat()
    camera = Camera(
        width_px=4256,
        height_px=2832,
        focal_px=float(chance.normal(10000.0, 10.0)),
        principal_point=(2127.5, 1415.5),
        quaternion=tuple(downward.tolist()),
        position_ecef_m=tuple(geodetic_to_ecef(lon, lat, 4.0e5).tolist()),
        distortion=(0.01, 0.0, 0.0, 0.0, 0.0),
    )
    solved = SolvedCamera(camera=camera, along_track_offset_s=1.5, off_nadir_deg=20.0)
    blank = FrameResult(
        frame=f"ISS030-E-{number}",
        path=photo_path(number),
        sha256=hashlib.sha256(str(number).encode()).hexdigest(),
        verdict=verdict,  # type: ignore[arg-type]
        probability=None,
        reasons=(),
        engine_version="0.1.0",
        seconds=float(chance.exponential(2.0)),
    )
    if verdict == "failed":
        reason = Reason(code="unreadable", text=f"{blank.path} is no image: remove it.")
        return replace(blank, sha256="", reasons=(reason,))
    seen = replace(
        blank,
        width_px=4256,
        height_px=2832,
        category="cities",
        category_probability=0.98,
        time_utc="2012-03-28T15:46:41Z",
        camera_body="NIKON D3S",
        focal_mm=85.0,
        pixel_pitch_um=8.46,
        sources=(("time", "exif"), ("focal_mm", "exif"), ("nadir", "tle")),
        nadir=NadirInput(
            lon=lon,
            lat=lat,
            altitude_km=400.0,
            source="tle",
            tle_age_h=5.0,
            sigma_along_km=3.0,
            sigma_cross_km=1.0,
        ),
        detections=DetectedLights(
            x=chance.uniform(0, 4255, LIGHTS),
            y=chance.uniform(0, 2831, LIGHTS),
            contrast=chance.uniform(0, 3, LIGHTS),
            matched=chance.integers(0, 2, LIGHTS).astype(np.uint8),
        ),
        lights="Black Marble 2016",
    )
    if verdict == "no_match":
        reason = Reason(code="few_lights", text="Fewer than eight lights agree with the map.")
        return replace(seen, reasons=(reason,))
    fit = Fit(
        ncc=0.71,
        runner_up_ncc=0.42,
        residual_px=float(chance.uniform(0.3, 1)),
        residual_m=float(chance.uniform(50, 200)),
        matched_lights=int(chance.integers(20, 200)),
        held_out_residual_px=0.9,
        log10_odds=38.2,
        runner_up_log10_odds=2.1,
    )
    return replace(
        seen,
        probability=0.9997 if verdict == "accepted" else 0.7,
        reasons=() if verdict == "accepted" else (Reason(code="low_margin", text="Two fit."),),
        solved=solved,
        control_points=tuple(
            ControlPoint(
                x=x,
                y=y,
                lon=lon + x / 1e4,
                lat=lat - y / 1e4,
                sigma_px=0.6,
                sigma_m=60.0,
                covariance_px=(0.36, 0.01, 0.25),
                covariance_m=(3600.0, -12.0, 1500.0),
                lights=12,
            )
            for x, y in ((500.0, 400.0), (3700.0, 420.0), (3800.0, 2400.0), (450.0, 2500.0))
        ),
        footprint=((lon, lat), (lon + 0.4, lat), (lon + 0.4, lat - 0.3), (lon, lat - 0.3)),
        footprint_diagonal_km=55.0,
        fit=fit,
        hypotheses=tuple(
            Hypothesis(
                rank=rank,
                solved=solved,
                ncc=0.71 - 0.1 * rank,
                log10_odds=38.2 - 10 * rank,
                centre_lon=lon + 0.2,
                centre_lat=lat - 0.15,
            )
            for rank in range(2)
        ),
    )


def photo_path(number: int) -> str:
    """Path of a frame's photo."""
    return f"photos/iss030e{number:07d}.jpg"


def make_up_frame(number: int, like: FrameResult) -> StoredFrame:
    """A frame of its own number and name with the rest of a result that was made before."""
    result = replace(
        like,
        frame=f"ISS030-E-{number}",
        path=photo_path(number),
        sha256=like.sha256 and hashlib.sha256(str(number).encode()).hexdigest(),
    )
    return StoredFrame(
        frame_index=number,
        result=result,
        parameters=PARAMETERS,
        parameters_sha256=PARAMETERS_SHA256,
        processed_utc="2026-11-21T00:00:00Z",
        search_pass=1,
    )


def renumber_rows(tables: Tables, start: int, count: int, chance: np.random.Generator) -> Tables:
    """Rows of the first ``count`` frames, numbered and named from ``start`` on, anywhere."""
    moved: Tables = {}
    for group, table in tables.items():
        keep = table["frame_index"] < count
        moved[group] = {name: array[keep] for name, array in table.items()}
        moved[group]["frame_index"] = moved[group]["frame_index"] + start
    frames: Table = moved["frames"]
    numbers = range(start, start + count)
    frames["frame"] = np.array([f"ISS030-E-{number}".encode() for number in numbers])
    frames["path"] = np.array([photo_path(number).encode() for number in numbers])
    hashes = [hashlib.sha256(str(number).encode()).hexdigest().encode() for number in numbers]
    frames["sha256"] = np.where(frames["sha256"] == b"", b"", np.array(hashes))
    there = np.isfinite(frames["centre_lon"])
    frames["centre_lon"] = np.where(there, chance.uniform(-180, 180, count), np.nan)
    frames["centre_lat"] = np.where(there, chance.uniform(-51, 51, count), np.nan)
    return moved


def make_store(
    path: Path,
    frames: int,
    alter: Callable[[Tables, np.random.Generator], None] = lambda tables, chance: None,
) -> None:
    """A merged store of many frames, altered at will, through the code that merging writes with."""
    results = [make_up_result(number) for number in range(min(DISTINCT, frames))]
    made = [make_up_frame(number, results[number % len(results)]) for number in range(BLOCK)]
    chance = np.random.default_rng(0)
    block = decode_lines([encode_frame(frame) for frame in made])
    lengths = {(group, name): block[group][name].dtype.itemsize for group, name in TEXT_COLUMNS}
    lengths["frames", "frame"] = len(f"ISS030-E-{frames}")
    with (
        provide_replacements((path,)) as (new,),
        GrowingStore(new, root_attributes(), lengths) as output,
    ):
        for start in range(0, frames, BLOCK):
            tables = renumber_rows(block, start, min(BLOCK, frames - start), chance)
            alter(tables, chance)
            output.append(tables)
