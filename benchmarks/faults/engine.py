"""A stand-in for the registration: quick, and every value follows from the photo and its hints.

What it says of a photo depends on the photo's name, its content and what other photos have told,
to the last digit. A run that mixes up results, loses one, or tells a photo something else than an
uninterrupted run would, so shows in the store.
"""

from __future__ import annotations

import ctypes
import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np

from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, local_axes
from regengine.errors import FrameError
from regengine.registration.neighbour_priors import SOURCE, FrameFacts, NeighbourPrior
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

START = datetime(2016, 5, 1, 12, tzinfo=UTC)
BODIES = ("NIKON D3S", "NIKON D4", "NIKON D5")
OFFSETS_S = (300.0, -45.0, 12.0)
WIDTH, HEIGHT = 640, 426
# What a photo is, by chance: shares of all photos
KINDS = (
    ("unreadable", 0.06),
    ("broken", 0.02),
    ("dark", 0.10),
    ("nothing", 0.06),
    ("hard", 0.16),
    ("hopeless", 0.10),
    ("easy", 0.50),
)
# Photos that do something to their worker, by a word of their name
HOG_BLOCK_BYTES = 64 << 20
HOG_BLOCKS = 48  # 3 GB: where nothing stops it before, no limit is there


def make_photos(folder: Path, count: int, *extra: str) -> list[Path]:
    """Small files in the place of photos, ``f0000.jpg`` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in [*(f"f{n:04d}.jpg" for n in range(count)), *extra]]
    for path in paths:
        path.write_bytes(f"picture of {path.name}".encode())
    return paths


def kind_of(number: int) -> str:
    """What the photo of a number is: one of `KINDS`."""
    chance = np.random.default_rng([number, 1]).random()
    for kind, share in KINDS:
        chance -= share
        if chance < 0.0:
            return kind
    return KINDS[-1][0]


def facts_of(path: Path, inputs: object = None) -> FrameFacts | None:
    """Time and camera of a photo; None for one in seven, and for those that do harm."""
    if not path.stem[1:].isdigit():
        return None
    number = int(path.stem[1:])
    if number % 7 == 3:
        return None
    # Bursts of eight, eight seconds apart, a burst every seven minutes
    seconds = 420 * (number // 8) + 8 * (number % 8)
    return FrameFacts(
        frame=path.stem,
        camera_body=BODIES[(number // 4) % len(BODIES)],
        time_utc=START + timedelta(seconds=seconds),
        focal_mm=85.0,
        size_px=(WIDTH, HEIGHT),
    )


def process(path: Path, hints: NeighbourPrior | None = None, inputs: object = None) -> FrameResult:
    """The result of one photo, after 5 to 50 ms; the inputs of the true engine are not used."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FrameError(f"{path} cannot be read: check its permissions.") from error
    _do_harm(path)
    number = int(path.stem[1:]) if path.stem[1:].isdigit() else 0
    kind = kind_of(number)
    time.sleep(np.random.default_rng([number, 2]).uniform(0.005, 0.050))
    if kind == "unreadable":
        raise FrameError(f"{path} is no image: remove it from the list.")
    if kind == "broken":
        raise ZeroDivisionError("division by zero")
    return result_of(path, kind, content, hints)


def result_of(
    path: Path, kind: str, content: bytes, hints: NeighbourPrior | None = None
) -> FrameResult:
    """What is said of a photo of a kind: every value drawn from photo and hints."""
    seed = hashlib.sha256(repr((path.name, content, hints)).encode()).digest()
    chance = np.random.default_rng(list(seed))
    facts = facts_of(path)
    result = FrameResult(
        frame=path.stem,
        path=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        verdict="no_match",
        probability=None,
        reasons=(Reason(code="no_ephemeris", text="No time and no nadir."),),
        width_px=WIDTH,
        height_px=HEIGHT,
        sources=(("time", "exif"), *(() if hints is None else ((SOURCE, hints.source),))),
        lights="stand-in",
        engine_version="0",
        seconds=0.03,
    )
    if facts is not None:
        result = replace(
            result,
            time_utc=facts.time_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
            camera_body=facts.camera_body,
            focal_mm=facts.focal_mm,
            pixel_pitch_um=56.25,
            nadir=NadirInput(
                lon=136.9, lat=35.7, altitude_km=391.2, source="tle", tle_age_h=20.0,
                sigma_along_km=15.0, sigma_cross_km=1.0,
            ),
        )  # fmt: skip
    if kind == "dark":
        return replace(result, reasons=(Reason(code="not_a_night_city_frame", text="Day."),))
    if kind == "nothing" or facts is None:
        return replace(result, reasons=(Reason(code="few_lights", text="Too few lights."),))
    accepted = kind == "easy" or (kind == "hard" and hints is not None)
    true_s = OFFSETS_S[BODIES.index(facts.camera_body)]
    return _with_proposal(result, accepted, true_s, chance)


def _with_proposal(
    result: FrameResult, accepted: bool, offset_s: float, chance: np.random.Generator
) -> FrameResult:
    camera = replace(nadir_camera(), focal_px=float(1511.1 + chance.normal()))
    solved = SolvedCamera(
        camera=camera,
        along_track_offset_s=float(offset_s + chance.normal()),
        off_nadir_deg=float(chance.uniform(0.0, 30.0)),
    )
    points = tuple(_point(chance) for _ in range(4))
    # One photo in sixteen has so many lights that its result does not fit into a pipe's buffer
    count = 3500 if chance.random() < 0.06 else 60
    lights = DetectedLights(
        x=chance.uniform(0.0, WIDTH, count),
        y=chance.uniform(0.0, HEIGHT, count),
        contrast=chance.random(count),
        matched=chance.integers(0, 2, count).astype(np.uint8),
    )
    doubt = Reason(code="low_probability", text="Not enough.")
    return replace(
        result,
        verdict="accepted" if accepted else "review",
        probability=float(0.999 + 1e-4 * chance.random() if accepted else 0.9 * chance.random()),
        reasons=() if accepted else (doubt,),
        solved=solved,
        control_points=points,
        footprint=((136.0, 36.2), (137.8, 36.2), None, (136.0, float(chance.uniform(35.0, 36.0)))),
        footprint_diagonal_km=191.0,
        fit=Fit(
            ncc=float(chance.random()), runner_up_ncc=0.4, residual_px=0.7, residual_m=160.0,
            matched_lights=int(chance.integers(20, 300)), held_out_residual_px=0.9,
            log10_odds=float(chance.uniform(5.0, 50.0)), runner_up_log10_odds=2.0,
        ),
        hypotheses=tuple(
            Hypothesis(
                rank=rank, solved=solved, ncc=float(chance.random()), log10_odds=30.0 - rank,
                centre_lon=136.9, centre_lat=None,
            )
            for rank in range(int(chance.integers(1, 4)))
        ),
        detections=lights,
    )  # fmt: skip


def _point(chance: np.random.Generator) -> ControlPoint:
    x, y, lon, lat, sigma_px, sigma_m = chance.random(6).tolist()
    return ControlPoint(
        x=WIDTH * x,
        y=HEIGHT * y,
        lon=136.0 + lon,
        lat=35.0 + lat,
        sigma_px=sigma_px,
        sigma_m=100.0 * sigma_m,
        covariance_px=(sigma_px**2, 0.0, sigma_px**2),
        covariance_m=(sigma_m**2, 0.0, sigma_m**2),
        lights=12,
    )


@lru_cache(maxsize=1)
def nadir_camera() -> Camera:
    """North-up camera above Japan."""
    from scipy.spatial.transform import Rotation

    east, north, up = local_axes(136.9, 35.7)
    axes = np.array([east, -north, -up])
    x, y, z, w = Rotation.from_matrix(axes.T).as_quat().tolist()
    px, py, pz = geodetic_to_ecef(136.9, 35.7, 391.2e3).tolist()
    return Camera(
        width_px=WIDTH,
        height_px=HEIGHT,
        focal_px=1511.1,
        principal_point=(319.5, 212.5),
        quaternion=(x, y, z, w),
        position_ecef_m=(px, py, pz),
    )


def _do_harm(path: Path) -> None:
    if "segfault" in path.stem:
        ctypes.string_at(0)
    if "hang" in path.stem:
        time.sleep(3600.0)
    if "memory" in path.stem:
        blocks = [np.ones(HOG_BLOCK_BYTES, dtype=np.uint8) for _ in range(HOG_BLOCKS)]
        raise RuntimeError(f"nothing limited {len(blocks)} blocks")
