"""Questions to a catalogue of a million photos."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from regengine.catalogue.arrange import arrange
from regengine.catalogue.coverage import BY, coverage
from regengine.catalogue.nights import month_of, night_of
from regengine.catalogue.questions import Wanted, best, changes, places
from regengine.catalogue.raw_rows import write_raw
from regengine.catalogue.reader import Answer, Catalogue
from regengine.places import place_index

CITIES = 3000  # that are photographed, the largest most often
AROUND_DEG = 0.3  # one sigma of the image centre about the city
FIRST, DAYS = datetime(2003, 1, 1, tzinfo=UTC), 20 * 365
VERDICTS, SHARES = ("accepted", "review", "no_match"), (0.6, 0.2, 0.2)
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
    verdicts = chance.choice(len(VERDICTS), photos, p=SHARES)
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
            "verdict": VERDICTS[verdicts[number]],
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
