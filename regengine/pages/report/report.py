"""Compute the statistics of a store, and write the report page.

Counts of results, reliability as far as the run itself can determine it, and processing times.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from detectors.constants import ORBITAL_SPEED_KM_S
from matchers.geometry.footprint import centre_lonlat, trace_visible_outline
from regengine.errors import FrameError
from regengine.io.checksums import compute_sha256
from regengine.io.html import data_address, escape_invisible, link_to, render_page, thumbnail_jpeg
from regengine.io.plain import plain, round_or_none
from regengine.io.times import iso_utc, parse_iso_time, utc_now
from regengine.maps.places import ABSURD, coastline
from regengine.registration.overlay import overlay_path
from regengine.registration.priors import AGREE_S, find_agreeing
from regengine.scene.drawing import turn_upright
from regengine.store.file import photo_file, raise_as_damage
from regengine.store.read import Snapshot, iter_blocks, iter_frames
from regengine.store.records import VERDICT_WORDS, evidence_text, margin_of, prior_nadir
from regengine.store.result import STATES, VERDICTS, Choice, FrameResult, Reviewed, decide_state
from regengine.store.reviews import describe_decision, read_reviews
from regengine.store.rows import (
    FORMAT_VERSION,
    Tables,
    first_of,
    join,
    reasons_of,
    select,
    values_of,
)

MAX_DEPENDENT = 200  # photos listed
QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
PROPOSED = ("accepted", "review")

Item = TypeVar("Item")


class Photos:
    """The photos of a store as columns, of its groups ``frames`` and ``provenance``.

    ``verdicts`` are the states that follow from people's decisions, too; the column ``verdict`` is
    the engine's, whose reliability is told.
    """

    def __init__(self, tables: Tables, reviews: Mapping[int, Reviewed] | None = None) -> None:
        frames = tables["frames"]
        self.tables = tables
        self._columns = first_of(tables["provenance"], frames["frame_index"]) | frames
        self.verdicts = [
            decide_state(verdict, (reviews or {}).get(number))
            for number, verdict in zip(
                frames["frame_index"].tolist(), self.texts("verdict"), strict=True
            )
        ]
        self.solved: NDArray[np.bool_] = ~np.isnan(self["focal_px"])

    def __len__(self) -> int:
        return len(self.verdicts)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name]

    def texts(self, name: str, rows: Any = slice(None)) -> list[str]:
        return values_of(self[name][rows])

    def where(self, name: str, text: str) -> NDArray[np.bool_]:
        return np.asarray(self[name] == text.encode())


def verdict_figures(photos: Photos) -> dict[str, Any]:
    """Counts of all states, including zeros, also by category and camera."""
    figures = {"photos": len(photos), "verdicts": verdict_counts(Counter(photos.verdicts))}
    for name in ("category", "camera_body"):
        texts = (text or "unknown" for text in photos.texts(name))
        counts = count_by(zip(texts, photos.verdicts, strict=True))
        figures[f"by_{name}"] = [{name: key} | counts[key] for key in _commonest(counts)]
    return figures


def reason_figures(photos: Photos) -> list[dict[str, Any]]:
    """Reason codes with counts and most frequent messages, the most frequent code first."""
    told = zip(photos.verdicts, photos.texts("reasons"), photos.texts("reason_values"), strict=True)
    codes: Counter[tuple[str, str]] = Counter()
    sentences: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (verdict, listed, values), count in Counter(told).items():
        # Each code once per photo
        for code, text in {one.code: one.text for one in reasons_of(listed, values)}.items():
            codes[code, verdict] += count
            # Messages contain numbers and file names: 200 of each code are distinguished
            if text in sentences[code] or len(sentences[code]) < 200:
                sentences[code][text] += count
    counts = count_by(codes)
    return [
        {
            "code": code,
            **counts[code],
            "sentences": [text for text, _ in sentences[code].most_common(3)],
            "different_sentences": len(sentences[code]),
        }
        for code in _commonest(counts)
    ]


def verdict_counts(counts: Mapping[str, int]) -> dict[str, int]:
    return {verdict: counts.get(verdict, 0) for verdict in STATES}


def count_by(pairs: Iterable[tuple[Item, str]]) -> dict[Item, dict[str, Any]]:
    """Number of photos and verdicts per key, from pairs of key and verdict, or their counts."""
    found: defaultdict[Item, Counter[str]] = defaultdict(Counter)
    for (key, verdict), count in Counter(pairs).items():
        found[key][verdict] = count
    return {
        key: {"photos": counts.total(), "verdicts": verdict_counts(counts)}
        for key, counts in found.items()
    }


def _commonest(counts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return sorted(counts, key=lambda key: (-counts[key]["photos"], key))[:200]


def distribution(values: NDArray[Any]) -> dict[str, Any]:
    """Count, mean and quantiles of the finite values; None without values."""
    values = values[np.isfinite(values)].astype(float)
    if not len(values):
        return {"count": 0, "mean": None, **dict.fromkeys(QUANTILES)}
    quantiles = np.quantile(values, list(QUANTILES.values())).tolist()
    mean = float(values.mean())
    return {"count": len(values), "mean": mean, **dict(zip(QUANTILES, quantiles, strict=True))}


def reliability_figures(photos: Photos) -> dict[str, Any]:
    """Probabilities by verdict, expected number of correct ones, and fit residuals."""
    probability, fitted = photos["probability"], photos["matched_lights"] >= 0
    # The worst of the control points limits the use of the proposal
    worst = np.full(len(photos), np.nan)
    points, numbers = photos.tables["control_points"], photos["frame_index"]
    places = np.searchsorted(numbers, points["frame_index"]).clip(max=len(numbers) - 1)
    rows = numbers[places] == points["frame_index"]
    np.fmax.at(worst, places[rows], points["sigma_m"][rows])
    margin = photos["ncc"] - photos["runner_up_ncc"]
    # With streets and daytime imagery, no lights are matched, and the alternative is chance, not
    # another camera
    kinds = photos.texts("reference_kind")
    by_lights = fitted & np.array([kind not in ("streets", "day") for kind in kinds], bool)
    every = np.ones(len(photos), bool)
    spreads = {
        "sigma_m": (worst, every),
        "residual_m": (photos["residual_m"], fitted),
        "residual_px": (photos["residual_px"], fitted),
        "margin": (margin, by_lights),
        "matched_lights": (photos["matched_lights"], by_lights),
        "off_nadir_deg": (photos["off_nadir_deg"], photos.solved),
    }
    of = {verdict: photos.where("verdict", verdict) for verdict in VERDICTS}
    known = {verdict: those & np.isfinite(probability) for verdict, those in of.items()}
    accepted = probability[known["accepted"]]
    return {
        "accepted": len(accepted),
        "expected_right": float(accepted.sum()),
        "expected_wrong": len(accepted) - float(accepted.sum()),
        "probability": {
            verdict: distribution(probability[known[verdict]])
            for verdict in sorted(VERDICTS)
            if known[verdict].any()
        },
        "distributions": {
            name: {verdict: distribution(values[of[verdict] & there]) for verdict in PROPOSED}
            for name, (values, there) in spreads.items()
        },
    }


def time_figures(photos: Photos) -> dict[str, Any]:
    """Distribution of seconds, and span of the run."""
    seconds = np.where(np.isfinite(photos["seconds"]), photos["seconds"], np.nan)
    done = sorted(filter(None, map(parse_iso_time, photos.texts("processed_utc"))))
    return {
        "seconds": distribution(seconds),
        "total_seconds": float(np.nansum(seconds)),
        "first_utc": iso_utc(done[0], "seconds") if done else None,
        "last_utc": iso_utc(done[-1], "seconds") if done else None,
    }


def decision_figures(photos: Photos, reviews: Mapping[int, Reviewed]) -> dict[str, Any]:
    """Numbers of decisions by kind, and the first `MAX_DEPENDENT` photos without independence.

    These were accepted with points that contain no information beyond their own camera.
    """
    choices: Counter[str] = Counter(one.decision for one in reviews.values())
    dependent = [number for number, one in reviews.items() if not one.independent]
    rows = np.searchsorted(photos["frame_index"], dependent[:MAX_DEPENDENT])
    names = (photos.texts(name, rows) for name in ("frame", "path"))
    return {
        "photos": len(reviews),
        "choices": {choice: choices.get(choice, 0) for choice in get_args(Choice)},
        "disputed": sum(one.disputed for one in reviews.values()),
        "not_independent": {
            "photos": len(dependent),
            "shown": [
                {"frame": frame, "path": path, "reviewer": reviews[number].reviewer}
                for frame, path, number in zip(*names, dependent, strict=False)
            ],
        },
    }


def origin_figures(photos: Photos) -> dict[str, Any]:
    """Versions, maps and position sources, the most frequent first; element set ages, hours."""

    def counts(name: str) -> dict[str, int]:
        return dict(Counter(photos.texts(name)).most_common(20))

    sources = counts("nadir_source")
    ages_h = photos["tle_age_h"][photos.where("nadir_source", "tle")]
    return {
        "engine_versions": counts("engine_version"),
        "lights": counts("lights"),
        "positions_from": {source or "none": count for source, count in sources.items()},
        "tle_age_h": distribution(ages_h),
    }


def thin_items(items: Sequence[Item], most: int) -> Sequence[Item]:
    """At most this many items, evenly distributed."""
    if len(items) <= most:
        return items
    return [items[k * len(items) // most] for k in range(most)]


def fair_shares(counts: Mapping[str, int], most: int) -> dict[str, int]:
    """Number of items to show per kind: rare kinds completely, the rest in equal shares."""
    shares: dict[str, int] = {}
    left = most
    for done, (name, count) in enumerate(sorted(counts.items(), key=lambda pair: pair[1])):
        shares[name] = min(count, left // (len(counts) - done))
        left -= shares[name]
    return {name: shares[name] for name in counts}


# Agreement is computed for at most this many, evenly distributed over the day
MAX_COMPARED = 500

Row = dict[str, Any]


def camera_figures(photos: Photos) -> tuple[list[Row], list[Row]]:
    """Clock and focal length statistics of accepted photos with positions from element sets.

    Clocks are by camera body and day by its clock, ISO 8601, UTC. Their offset along the orbit is
    the sum of two errors: the camera's clock, and the station's position in the element set. Fresh
    element sets have errors of less than a second, so the clock error dominates; the medians of the
    sets' one sigma and age are included. An offset is positive if the station was further along
    than the photo's time implies, as with a clock that is slow. ``agree`` is the share of the
    photos within five seconds of each other. Lenses, by body and nominal focal length, have the
    ratio of solved to nominal focal length: crops are 1.2 to 2.
    """
    offset_s, pitch_um = photos["along_track_offset_s"], photos["pixel_pitch_um"]
    teaching = (
        photos.where("verdict", "accepted")
        & photos.where("nadir_source", "tle")
        & ~photos.where("camera_body", "")
        & (photos["width_px"] >= 0)
        & (photos["height_px"] >= 0)
        & (pitch_um > 0.0)
        & photos.solved
        & np.isfinite(offset_s)
    )
    rows = np.flatnonzero(teaching)
    sigma_s = photos["sigma_along_km"] / ORBITAL_SPEED_KM_S
    facts = np.column_stack([offset_s, sigma_s, photos["tle_age_h"]])[rows].tolist()
    nominal_mm = np.where(photos["focal_mm"] > 0.0, photos["focal_mm"], np.nan)
    ratios = photos["focal_px"] * pitch_um / (1e3 * nominal_mm)
    texts = (photos.texts(name, rows) for name in ("camera_body", "time_utc"))
    offsets: defaultdict[tuple[str, str], list[list[float]]] = defaultdict(list)
    lenses: defaultdict[tuple[str, float], list[float]] = defaultdict(list)
    for row, fact, body, time_utc in zip(rows.tolist(), facts, *texts, strict=True):
        try:
            day = datetime.fromisoformat(time_utc).date().isoformat()
        except ValueError:  # missing, or not in this program's format
            continue
        offsets[body, day].append(fact)
        if math.isfinite(ratios[row]):
            lenses[body, float(nominal_mm[row])].append(float(ratios[row]))
    clocks = []
    for (body, day), told in sorted(offsets.items()):
        offsets_s, sigmas_s, ages_h = zip(*told, strict=True)
        compared = offsets_s[:: -(-len(offsets_s) // MAX_COMPARED)]
        agreeing = find_agreeing(compared, AGREE_S)
        clocks.append(
            {"camera_body": body, "day": day}
            | _spread(offsets_s, "_s")
            | {
                "agree": len(agreeing) / len(compared),
                "tle_sigma_s": float(np.median(sigmas_s)),
                "tle_age_h": float(np.median(ages_h)),
            }
        )
    return clocks, [
        {"camera_body": body, "focal_mm": focal_mm} | _spread(values)
        for (body, focal_mm), values in sorted(lenses.items())
    ]


def _spread(values: Sequence[float], unit: str = "") -> Row:
    """Count, median, robust standard deviation (nan for one photo) and extremes, with the unit."""
    median = float(np.median(values))
    off = float(np.median(np.abs(np.subtract(values, median))))
    return {
        "photos": len(values),
        f"median{unit}": median,
        # The standard deviation of normal values over their median absolute deviation is 1.4826
        f"spread{unit}": 1.4826 * off if len(values) > 1 else float("nan"),
        f"lowest{unit}": min(values),
        f"highest{unit}": max(values),
    }


# Ground positions of photos: outlines of single photos, and counts on a grid

CELL_DEG = 2
AXES = ("lon", "lat")
LonLat = tuple[float, float]


def place_figures(photos: Photos) -> dict[str, Any]:
    """Counts of placed photos by grid cell and verdict; cells by their south-western corners.

    Cells are sorted from the west. ``nadirs`` counts photos of which only the nadir is known.
    """
    places = places_of(photos)
    there = np.isfinite(places[:, 0])
    corners = (places[there] // CELL_DEG).astype(int) * CELL_DEG
    verdicts = np.array(photos.verdicts, dtype=object)[there]
    told = ~(photos.where("nadir_source", "") | photos.where("nadir_source", "lights"))
    cells = count_by(zip(map(tuple, corners.tolist()), verdicts, strict=True))
    return {
        "photos": len(corners),
        "nadirs": int((told & np.isfinite(photos["nadir_lon"]) & ~there).sum()),
        "cell_deg": CELL_DEG,
        "cells": [
            {"lon": lon, "lat": lat, "verdicts": counts["verdicts"]}
            for (lon, lat), counts in sorted(cells.items())
        ],
    }


def places_of(photos: Photos) -> NDArray[np.float64]:
    """Ground position of the image centre, or a corner if that is sky, of photos with a camera.

    Rows of lon, lat; nan if unknown.
    """
    candidates = np.stack(
        [
            np.column_stack([photos[f"centre_{axis}"] for axis in AXES]),
            *(
                np.column_stack([photos[f"footprint_{axis}"][:, corner] for axis in AXES])
                for corner in range(4)
            ),
        ]
    )
    known = np.isfinite(candidates).all(axis=2) & photos.solved
    chosen = candidates[known.argmax(axis=0), np.arange(len(photos))]
    return np.where(known.any(axis=0)[:, None], chosen, np.nan)


def outline_of(result: FrameResult) -> list[LonLat]:
    """Outline of the ground that a solved photo shows."""
    if result.solved is None:
        return []
    corners = [corner for corner in result.footprint or () if corner is not None]
    if len(corners) == 4:
        return _run_on(corners)
    camera = result.solved.camera
    try:
        with np.errstate(all="ignore"):
            # Directions along each side of a photo in which the horizon is visible
            x, y = trace_visible_outline(camera, 5)
            if len(x) == 0:
                return []
            # The visible part of the Earth is convex in the image: sorted by angle about its
            # centre, its edge is a ring
            order = np.argsort(np.arctan2(y - y.mean(), x - x.mean()))
            lon, lat = camera.pixel_to_lonlat(x[order], y[order])
    except ABSURD:
        return []
    return _run_on(list(zip(lon.tolist(), lat.tolist(), strict=True)))


def _run_on(ring: list[LonLat]) -> list[LonLat]:
    ring = [place for place in ring if np.isfinite(place).all()]
    first = ring[0][0] if ring else 0.0
    around = [((lon - first + 180.0) % 360.0 - 180.0 + first, lat) for lon, lat in ring]
    return [(round(lon, 2), round(lat, 2)) for lon, lat in around]


# The page, and what is read for it

LONGEST_SENTENCE = 300
Listed = tuple[FrameResult, Reviewed | None]  # a photo on the page, and what a person decided


def frame_row(
    photo: Listed, picture: bytes | None, page_folder: Path, overlays: Path | None
) -> dict[str, Any]:
    """One photo's row of the page, with its thumbnail."""
    result, review = photo
    nadir, places = prior_nadir(result), []
    fit, solved, by_lights = result.fit, result.solved, result.reference_kind == "lights"
    if solved is not None:  # a corner where the centre is sky
        places = [centre_lonlat(solved.camera), *filter(None, result.footprint or ())]
    drawn = None
    if overlays is not None:  # one with the photo's hash in its name has priority
        found = [overlay_path(result, overlays, hashed=hashed) for hashed in (True, False)]
        drawn = next((path for path in found if path.is_file()), None)
    return {
        "frame": result.frame,
        "path": result.path,
        "href": link_to(result.path, page_folder),
        "overlay": None if drawn is None else link_to(drawn, page_folder),
        "verdict": decide_state(result.verdict, review),
        "decided": describe_decision(review),
        "probability": result.probability,
        "reasons": [reason.code for reason in result.reasons],
        "why": " ".join(reason.text for reason in result.reasons)[:LONGEST_SENTENCE],
        "category": result.category,
        "camera_body": result.camera_body,
        "focal_mm": result.focal_mm,
        "time_utc": result.time_utc,
        "sigma_m": round_or_none(max((p.sigma_m for p in result.control_points), default=None), 1),
        "residual_m": None if fit is None else round_or_none(fit.residual_m, 1),
        "margin": round_or_none(margin_of(result), 3),
        "placed_on": None if fit is None else result.reference_kind,
        "lights": fit.matched_lights if fit is not None and by_lights else None,
        "patches": None if by_lights else evidence_text(result),
        "off_nadir_deg": None if solved is None else round_or_none(solved.off_nadir_deg, 1),
        "offset_s": None if solved is None else round_or_none(solved.along_track_offset_s, 1),
        "seconds": round_or_none(result.seconds, 2),
        "place": next(filter(None, map(_round_place, places)), None),
        "nadir": nadir and _round_place((nadir.lon, nadir.lat)),
        "outline": outline_of(result),
        "thumbnail": picture and data_address(picture),
    }


def _round_place(place: tuple[float, float]) -> list[float] | None:
    return [round(degrees, 2) for degrees in place] if np.isfinite(place).all() else None


def report_page(
    frames: Sequence[Listed],
    figures: Mapping[str, Any],
    pictures: Mapping[int, bytes],
    page_folder: Path,
    overlays: Path | None = None,
) -> str:
    """The page of a run."""
    rows = [
        frame_row(photo, pictures.get(number), page_folder, overlays)
        for number, photo in enumerate(frames)
    ]
    data = {"figures": figures, "frames": rows, "coastline": coastline(), "words": VERDICT_WORDS}
    content = files("regengine.pages.report").joinpath("report.html").read_text(encoding="utf-8")
    return render_page(content, data, title=f"Report on {Path(figures['store']).name}")


def thumbnails(
    frames: Iterable[FrameResult],
    store: Path,
    most: int,
    advance: Callable[[], object] = lambda: None,
) -> dict[int, bytes]:
    """Thumbnails of some photos, with a fair share of each verdict."""
    from regengine.scene.picture import read_scene_picture

    found: dict[str, list[tuple[int, FrameResult, Path]]] = {verdict: [] for verdict in VERDICTS}
    for number, result in enumerate(frames):
        wanted = result.verdict != "failed" and most > 0
        path = photo_file(result.path, store, result.sha256) if wanted else None
        if path is not None:
            found[result.verdict].append((number, result, path))
    shares = fair_shares({verdict: len(items) for verdict, items in found.items()}, most)
    pictures = {}
    for verdict, items in found.items():
        for number, result, path in thin_items(items, shares[verdict]):
            with suppress(FrameError, OSError):
                if compute_sha256(path) == result.sha256:
                    upright = turn_upright(read_scene_picture(path).rgb, result.orientation)
                    pictures[number] = thumbnail_jpeg(upright)
            advance()
    return pictures


# Camera bodies by day, and lenses: those with most photos are listed
MAX_CAMERA_ROWS = 500
READ_FRAMES = 65536  # with few columns
# Columns needed for statistics: some 400 bytes per photo
COLUMNS = select(
    *(
        f"frames/{name}"
        for name in (
            *("frame", "path", "verdict", "reasons", "reason_values", "category", "camera_body"),
            *("focal_mm", "focal_px", "pixel_pitch_um", "width_px", "height_px", "time_utc"),
            *("nadir_source", "nadir_lon", "nadir_lat", "sigma_along_km", "tle_age_h"),
            *("centre_lon", "centre_lat", "footprint_lon", "footprint_lat", "off_nadir_deg"),
            *("along_track_offset_s", "probability", "residual_m", "residual_px", "ncc"),
            *("runner_up_ncc", "matched_lights", "reference_kind"),
        )
    ),
    *(f"provenance/{name}" for name in ("engine_version", "lights", "seconds", "processed_utc")),
    "control_points/sigma_m",
)


def _select_most_telling(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows with most photos, in the given order, and their total number."""
    if len(rows) <= MAX_CAMERA_ROWS:
        return {"groups": len(rows), "rows": rows}
    least = sorted((row["photos"] for row in rows), reverse=True)[MAX_CAMERA_ROWS - 1]
    kept = [row for row in rows if row["photos"] >= least][:MAX_CAMERA_ROWS]
    return {"groups": len(rows), "rows": kept}


def collect_store(store: Path, most_frames: int) -> tuple[dict[str, Any], list[Listed]]:
    """Statistics of a store for `regengine report --json`, and at most this many photos.

    Photos are in the store's order, with a fair share of each verdict. A run may be writing the
    store. StoreError if there is none, or it cannot be read.
    """
    with raise_as_damage(store):
        reviews = read_reviews(store)
        photos = Photos(join(list(iter_blocks(store, COLUMNS, READ_FRAMES)), COLUMNS), reviews)
        # A fair share of each verdict
        numbers = photos["frame_index"]
        of = {one: numbers[photos.where("verdict", one)].tolist() for one in VERDICTS}
        shares = fair_shares({verdict: len(of[verdict]) for verdict in of}, most_frames)
        kept = [number for verdict in of for number in thin_items(of[verdict], shares[verdict])]
        frames = [
            (stored.result, reviews.get(stored.frame_index)) for stored in iter_frames(store, kept)
        ]
        clocks, lenses = camera_figures(photos)
        figures = {
            **verdict_figures(photos),
            "reasons": reason_figures(photos),
            "reliability": reliability_figures(photos),
            "clocks": _select_most_telling(clocks),
            "lenses": _select_most_telling(lenses),
            "places": place_figures(photos),
            "times": time_figures(photos),
            "origins": origin_figures(photos),
        }
    # Those on photos that were in the store when it was read: a run may have added others
    known = set(photos["frame_index"].tolist())
    figures["decisions"] = decision_figures(
        photos, {number: one for number, one in reviews.items() if number in known}
    )
    with Snapshot(store) as found, raise_as_damage(store):
        known_by = found.journal if found.store is None else found.store
        try:
            versions = json.loads(known_by.attributes.get("package_versions", "null"))
        except (ValueError, RecursionError):
            versions = None
        run = {
            "created": known_by.attributes.get("created"),
            "command_line": known_by.attributes.get("command_line"),
            "package_versions": versions if isinstance(versions, dict) else None,
            "format_version": FORMAT_VERSION,
            "unmerged_frames": len(found.journal.frame_index),
        }
    told = {"store": str(store), "reported_utc": utc_now(), "run": run}
    return plain(told | figures, escape_invisible), frames
