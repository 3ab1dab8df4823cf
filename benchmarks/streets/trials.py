"""Frames registered on streets by the whole rule, and how right that is."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import Geod

from benchmarks.streets.city import CITIES, draw_grid_city
from benchmarks.streets.maps import CityStreets, NoLights, build_map_of
from benchmarks.streets.shot import LOOSE, ShotRanges
from benchmarks.streets.simulate import StreetFrame, simulate_frame
from matchers.geometry.camera import Camera
from regengine.orbit import position_from_nadir
from regengine.orbit.position import choose_position, element_sets
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.registration.parameters import RegisterParams
from regengine.registration.register import search_frame
from regengine.registration.report_result import report_result, report_skipped
from regengine.registration.streets.report_on_streets import report_on_streets
from regengine.registration.types import Prior, SearchReferences
from regengine.result import FrameResult

PARIS = "Paris_ISS043-E-93480.jpg"
RIGHT_PX = 4.0  # median of a grid of 7 x 7 points
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """What is tried on each seed."""

    real: Path
    harsh: bool = False  # the second generator
    loose: bool = False  # clock and lens
    negatives: bool = False  # other and mirrored streets instead of the city's own
    grid: bool = False  # a city of regular blocks
    which: bool = False  # the four cities' streets laid in one place, to tell which it is


def try_seed(seed: int, plan: TrialPlan, maps: dict[str, CityStreets], folder: Path) -> list[Row]:
    """Simulate a frame of a seed and register it; a row for each trial."""
    ranges = LOOSE if plan.loose else ShotRanges()
    city = draw_grid_city(seed % 8) if plan.grid else None
    frame = simulate_frame(seed, plan.real, harsh=plan.harsh, ranges=ranges, city=city)
    if city is not None:
        maps = {**maps, "grid": build_map_of(replace(city, name=f"grid{seed % 8}"), folder)}
    own = maps[frame.city]
    trials = {"own": [own]}
    if plan.which:
        trials = {"which": [own, *(maps[n].laid_at(own) for n in CITIES if n != frame.city)]}
    if plan.negatives:
        trials = {"mirrored": [replace(own, mirrored=True)]}
        trials |= {
            f"other {name}": [maps[name].laid_at(own)] for name in CITIES if name != frame.city
        }
    rows = []
    for name, streets in trials.items():
        began = time.process_time()
        result = register_simulated(frame, streets)
        cpu_s = time.process_time() - began
        row: Row = {
            "seed": seed, "trial": name, "city": frame.city, "harsh": plan.harsh,
            "loose": plan.loose, "gsd_m": frame.shot.gsd_m, "tilt_deg": frame.shot.off_nadir_deg,
            "focal_mm": frame.shot.focal_mm, "short_side_km": frame.shot.short_side_km,
            **{f"drawn_{key}": value for key, value in frame.settings.items()}, "cpu_s": cpu_s,
        }  # fmt: skip
        rows.append(row | score(result, frame.shot.camera))
    return rows


def register_simulated(frame: StreetFrame, streets: list[CityStreets]) -> FrameResult:
    """Register a simulated frame with what is told of it, its element set among that."""
    told = frame.shot.reported
    with tempfile.TemporaryDirectory() as name:
        photo, tle = Path(name) / "photo.jpg", Path(name) / "tle.txt"
        photo.write_bytes(frame.jpeg)
        tle.write_text(told.tle)
        options = FrameOptions(focal_mm=told.focal_mm, pixel_pitch_um=told.pixel_pitch_um)
        read = read_frame(photo, options=options)
        prior = Prior(position=choose_position(read, element_sets(tle)))
        params = RegisterParams(clock_window_s=told.clock_s)
        return place_on_streets(read, prior, streets, params)


def place_on_streets(
    frame: Frame, prior: Prior, streets: list[CityStreets], params: RegisterParams
) -> FrameResult:
    """What `register_frame` answers where no lights are at hand, with the score of what it refuses.

    For without lights nothing else than streets can be accepted.
    """
    references = SearchReferences(light_map=NoLights(), streets=streets)
    problem, state, street_match = search_frame(frame, prior, references, params)
    if state is None:
        return report_skipped(problem)
    if street_match is None:
        return report_result(problem, state)
    return report_on_streets(problem, street_match)


def score(result: FrameResult, truth: Camera) -> Row:
    """How far a result is from the true camera, in pixels of the photo and on the ground."""
    row: Row = {
        "verdict": result.verdict, "probability": result.probability, "right": False,
        "reasons": " ".join(reason.code for reason in result.reasons),
    }  # fmt: skip
    if result.fit is not None:
        row |= {
            "log10_odds": result.fit.log10_odds,
            "runner_up": result.fit.runner_up_log10_odds,
            "held_out_px": result.fit.held_out_residual_px,
        }
    if result.solved is None:
        return row
    x, y = np.meshgrid(
        np.linspace(0.0, truth.width_px - 1.0, 7), np.linspace(0.0, truth.height_px - 1.0, 7)
    )
    lon, lat = result.solved.camera.pixel_to_lonlat(x.ravel(), y.ravel())
    at_x, at_y = truth.lonlat_to_pixel(lon, lat)
    error_px = np.hypot(at_x - x.ravel(), at_y - y.ravel())
    error_px = np.where(np.isfinite(error_px), error_px, np.inf)
    row |= {"grid_px": float(np.median(error_px)), "right": bool(np.median(error_px) < RIGHT_PX)}
    if result.control_points:
        points = result.control_points
        px, py = truth.lonlat_to_pixel([p.lon for p in points], [p.lat for p in points])
        offsets = np.array([[a - p.x, b - p.y] for a, b, p in zip(px, py, points, strict=True)])
        sigmas = np.array([[p.sigma_px] for p in points])
        within = np.abs(offsets) <= sigmas
        true_lon, true_lat = truth.pixel_to_lonlat([p.x for p in points], [p.y for p in points])
        _, _, metres = Geod(ellps="WGS84").inv(
            true_lon, true_lat, [p.lon for p in points], [p.lat for p in points]
        )
        row |= {
            "points": len(points),
            "points_px": float(np.median(np.hypot(*offsets.T))),
            "points_m": float(np.median(metres)),
            "points_sigma_px": float(np.median(sigmas)),
            "n_within": int(within.sum()),
            "n_axes": int(within.size),
        }
    return row


def try_paris(plan: TrialPlan, maps: dict[str, CityStreets]) -> list[Row]:
    """The real photo of Paris from its region alone, on its streets, mirrored and other ones."""
    path = plan.real / "photos" / "cities" / PARIS
    own = maps["paris"]
    trials = {"own": own}
    if plan.negatives:
        trials = {"mirrored": replace(own, mirrored=True)}
        trials |= {f"other {n}": maps[n].laid_at(own) for n in CITIES if n != "paris"}
    rows = []
    for name, streets in trials.items():
        began = time.process_time()
        frame = read_frame(path, options=FrameOptions(focal_mm=400.0, pixel_pitch_um=7.3))
        position = position_from_nadir(2.35, 48.86, 400.0, "option", sigma_km=(100.0, 100.0, 10.0))
        result = place_on_streets(frame, Prior(position=position), [streets], RegisterParams())
        row: Row = {
            "seed": -1, "trial": name, "city": "paris", "verdict": result.verdict,
            "probability": result.probability, "right": False,
            "reasons": " ".join(reason.code for reason in result.reasons),
            "cpu_s": time.process_time() - began,
        }  # fmt: skip
        if result.fit is not None:
            row["log10_odds"] = result.fit.log10_odds
        if result.solved is not None:
            error_m = compare_with_paris(result.solved.camera, plan.real)
            median, most = np.percentile(error_m, [50, 90])
            row |= {"truth_m": float(median), "truth_90_m": float(most), "right": median < 100.0}
        rows.append(row)
    return rows


def compare_with_paris(camera: Camera, real: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Metres between a camera and the 40 points of the truth of Paris, which lacks the lens."""
    import json

    text = (real / "streets" / "paris_truth.json").read_text(encoding="utf-8")
    points = json.loads(text)["points"]
    lon, lat = camera.pixel_to_lonlat([p["x"] for p in points], [p["y"] for p in points])
    _, _, metres = Geod(ellps="WGS84").inv(
        lon, lat, [p["lon"] for p in points], [p["lat"] for p in points]
    )
    return np.asarray(metres)
