"""Accepted frames as real ones are: straight down, oblique, to the limb, with photos that exist."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from benchmarks.store_frames import VERDICTS, made_up_result, photo_path
from benchmarks.store_scale import make_store
from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, incidence_deg, local_axes
from regengine.collection.catalogue.arrange import arrange
from regengine.collection.catalogue.build import write_raw
from regengine.collection.catalogue.ground import month_of, night_of
from regengine.collection.catalogue.query import (
    BY,
    Answer,
    Catalogue,
    Wanted,
    best,
    changes,
    coverage,
    places,
)
from regengine.places import place_index
from regengine.result import FrameResult, SolvedCamera

WIDTH, HEIGHT = 1064, 708  # a quarter of a D3S's
FOCALS_PX = (700.0, 1475.0, 2500.0, 5250.0)  # 24 to 180 mm
FARTHEST_DEG = 65.0  # the middle is ground, and wide lenses see sky beyond it
FLATTEST_DEG = 75.0  # incidence of control points


def export_store(folder: Path, frames: int) -> Path:
    """A store of accepted frames, and their photos beside it."""
    (folder / "photos").mkdir()
    original = folder / "photo.jpg"
    write_photo(original, WIDTH, HEIGHT)
    sha256 = hashlib.sha256(original.read_bytes()).hexdigest()
    for number in range(frames):
        os.link(original, folder / photo_path(number))
    store = folder / "run.h5"
    make_store(store, frames, partial(accepted_result, sha256=sha256), sha256)
    return store


def write_photo(path: Path, width: int, height: int) -> None:
    """Towns by night, near enough: blurred lights on black, and noise."""
    chance = np.random.default_rng(0)
    small = chance.uniform(size=(height // 8, width // 8)) ** 30 * 255.0
    lights = Image.fromarray(small.astype(np.uint8)).resize((width, height))
    noisy = np.asarray(lights, float)[..., None] + chance.normal(8.0, 4.0, (height, width, 3))
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path, quality=92)


def accepted_result(number: int, sha256: str) -> FrameResult:
    """One accepted result; its camera follows from its number alone."""
    like = made_up_result(number * len(VERDICTS))
    assert like.nadir is not None
    assert like.detections is not None
    assert like.width_px is not None
    assert like.height_px is not None
    lights = replace(
        like.detections,
        x=like.detections.x * (WIDTH - 1) / (like.width_px - 1),
        y=like.detections.y * (HEIGHT - 1) / (like.height_px - 1),
    )
    chance = np.random.default_rng(number)
    tilt_deg, azimuth_deg = chance.uniform(0.0, FARTHEST_DEG), chance.uniform(0.0, 360.0)
    focal_px = float(chance.choice(FOCALS_PX))
    camera = looking(
        like.nadir.lon, like.nadir.lat, tilt_deg, azimuth_deg, focal_px, (WIDTH, HEIGHT)
    )
    return replace(posed(like, camera), sha256=sha256, detections=lights)


def posed(like: FrameResult, camera: Camera) -> FrameResult:
    """A result with another camera, and what it sees at four control points."""
    points = tuple(
        replace(known, x=x, y=y, lon=lon, lat=lat)
        for known, (x, y, lon, lat) in zip(like.control_points, spread(camera), strict=True)
    )
    solved = SolvedCamera(
        camera=camera, along_track_offset_s=1.5, off_nadir_deg=camera.off_nadir_deg
    )
    return replace(
        like,
        width_px=camera.width_px,
        height_px=camera.height_px,
        solved=solved,
        control_points=points,
    )


def looking(
    lon: float,
    lat: float,
    tilt_deg: float,
    azimuth_deg: float,
    focal_px: float,
    size: tuple[int, int],
) -> Camera:
    """A camera 400 km above a place, tilted from the nadir."""
    east, north, up = local_axes(lon, lat)
    turn = Rotation.from_rotvec(up * azimuth_deg, degrees=True)
    tilt = Rotation.from_rotvec(turn.apply(east) * tilt_deg, degrees=True)
    axes = tilt.apply([east, -north, -up])
    return Camera(
        width_px=size[0],
        height_px=size[1],
        focal_px=focal_px,
        principal_point=((size[0] - 1) / 2, (size[1] - 1) / 2),
        quaternion=tuple(Rotation.from_matrix(axes.T).as_quat().tolist()),
        position_ecef_m=tuple(geodetic_to_ecef(lon, lat, 4.0e5).tolist()),
        distortion=(0.01, 0.0, 0.0, 0.0, 0.0),
    )


def spread(camera: Camera) -> list[tuple[float, float, float, float]]:
    """Four pixels that show ground, towards the corners, and what they show."""
    share = np.linspace(0.05, 0.95, 19)
    x, y = (a.ravel() for a in np.meshgrid(share * camera.width_px, share * camera.height_px))
    angle = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    seen = angle < FLATTEST_DEG
    x, y = x[seen], y[seen]
    ends = [x + y, x - y, -x - y, y - x]
    chosen = [int(np.argmax(end)) for end in ends]
    lon, lat = camera.pixel_to_lonlat(x[chosen], y[chosen])
    return list(
        zip(x[chosen].tolist(), y[chosen].tolist(), lon.tolist(), lat.tolist(), strict=True)
    )


# Questions to a catalogue of a million photos.

CITIES = 3000  # that are photographed, the largest most often
AROUND_DEG = 0.3  # one sigma of the image centre about the city
FIRST, DAYS = datetime(2003, 1, 1, tzinfo=UTC), 20 * 365
DRAWN_VERDICTS, SHARES = ("accepted", "review", "no_match"), (0.6, 0.2, 0.2)
FOCALS_MM = (28.0, 50.0, 85.0, 180.0, 400.0)
BOX = (
    "SELECT frame, quality FROM frames WHERE centre_lon BETWEEN 130 AND 146 "
    "AND centre_lat BETWEEN 30 AND 46 AND verdict = 'accepted' ORDER BY quality DESC LIMIT 100"
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question: how many rows it has, and what it cost, from opening the file to the last row."""

    says: str
    rows: int
    cpu_s: float
    s: float


def make_catalogue(folder: Path, photos: int) -> Path:
    """A catalogue of photos of cities, without the outlines of their footprints."""
    raw, out = folder / "raw.parquet", folder / "catalogue.parquet"
    write_raw(raw, rows(photos))
    arrange(raw, out)
    raw.unlink()
    return out


def rows(photos: int) -> Iterator[dict[str, Any]]:
    """Rows as stores would tell them."""
    chance = np.random.default_rng(0)
    cities = place_index().inside(-180.0, -52.0, 180.0, 52.0, CITIES)
    weights = 1.0 / np.arange(1, len(cities) + 1) ** 0.5
    of_city = chance.choice(len(cities), photos, p=weights / weights.sum())
    lon = np.array([city.lon for city in cities])[of_city] + chance.normal(0, AROUND_DEG, photos)
    lat = np.array([city.lat for city in cities])[of_city] + chance.normal(0, AROUND_DEG, photos)
    lon = (lon + 180.0) % 360.0 - 180.0
    days = chance.uniform(0.0, DAYS, photos)
    verdicts = chance.choice(len(DRAWN_VERDICTS), photos, p=SHARES)
    focals = chance.choice(FOCALS_MM, photos)
    numbers = chance.uniform(size=(photos, 4))
    for number in range(photos):
        x, y = float(lon[number]), float(lat[number])
        time_utc = FIRST + timedelta(days=float(days[number]))
        night = night_of(time_utc, x)
        focal_mm = float(focals[number])
        first, second, third, quality = numbers[number].tolist()
        half = 15.0 / focal_mm
        yield {
            "frame": f"ISS030-E-{number}",
            "sha256": f"{number:064x}",
            "store": "/archive/run.h5",
            "frame_index": number,
            "path": f"photos/iss030e{number:07d}.jpg",
            "verdict": DRAWN_VERDICTS[verdicts[number]],
            "probability": 0.9 + 0.0999 * first,
            "category": "cities",
            "time_utc": time_utc,
            "night": night,
            "month": month_of(night),
            "centre_lon": x,
            "centre_lat": y,
            "nadir_lon": x,
            "nadir_lat": y - 1.0,
            "altitude_km": 400.0 + 20.0 * second,
            "west": (x - half + 180.0) % 360.0 - 180.0,
            "south": y - half,
            "east": (x + half + 180.0) % 360.0 - 180.0,
            "north": y + half,
            "area_km2": (222.0 * half) ** 2,
            "camera_body": "NIKON D3S",
            "focal_mm": focal_mm,
            "lens": f"{focal_mm:.0f} mm",
            "width_px": 4256,
            "height_px": 2832,
            "off_nadir_deg": 60.0 * third,
            "resolution_m": 3400.0 / focal_mm,
            "sigma_m": 60.0 + 100.0 * first,
            "sharpness": second,
            "cloud": third,
            "quality": quality,
        }


def asked(path: Path, tries: int) -> list[Asked]:
    """What each question costs, the least of some tries."""
    questions: dict[str, Callable[[Catalogue], Answer]] = {
        "places of the whole catalogue": lambda one: one.ask(*places(Wanted())),
        "places of Japan": lambda one: one.ask(*places(Wanted(country="Japan"))),
        "best frame of each place and month": lambda one: one.ask(*best(Wanted())),
        "best frames of one place": lambda one: one.ask(*best(Wanted(place="1"))),
        "best frames of a month": lambda one: one.ask(*best(Wanted(month="2012-03"))),
        "changes from year to year, the best 100": lambda one: one.ask(*changes(Wanted(limit=100))),
        "changes of one place": lambda one: one.ask(*changes(Wanted(place="1"))),
        "a hundred accepted frames of a box": lambda one: one.query(BOX),
    }
    for by in BY:
        questions[f"coverage by {by}"] = lambda one, by=by: coverage(one, by)  # type: ignore[misc]
    return [_least(path, says, question, tries) for says, question in questions.items()]


def _least(path: Path, says: str, question: Callable[[Catalogue], Answer], tries: int) -> Asked:
    told = []
    for _ in range(tries):
        clock, processor = time.perf_counter(), time.process_time()
        with Catalogue(path) as catalogue:
            count = sum(1 for _ in question(catalogue).rows)
        told.append((time.process_time() - processor, time.perf_counter() - clock, count))
    cpu_s, s, count = min(told)
    return Asked(says=says, rows=count, cpu_s=cpu_s, s=s)
