"""How frames by day are placed on Blue Marble, and how often chance places what it must not.

``timed`` frames of ``day/`` by their times, with the ``clock`` wrong by 20 s, the ``lens`` by 15 %,
and ``untimed`` on the regional map; ``any`` photos by day of a collection that nobody chose for
this, up to 280 mm; ``telephoto`` frames on their Sentinel-2 squares, stretched to
3:2 and to 2:3 (one of which is wrong), and ``squared`` as the copies are. As many negatives as
asked for: frames ``mirrored`` at their own places, frames by day and by night ``elsewhere``, over
land more than 2,400 km away, and photographs of ``other`` things there; telephoto frames mirrored,
or on another's square.
``--lines`` keeps a row a trial; those that it holds are not run again.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import rasterio
from PIL import Image
from rasterio.warp import transform_bounds
from scipy.stats import beta
from typer import Option

from benchmarks.options import Out, Real
from benchmarks.pages import NONE, number, table, title_lines, write_page
from benchmarks.rows import Row, append_row, list_photos, read_csv, read_rows
from matchers.geometry.camera import Camera
from matchers.geometry.footprint import WGS84
from regengine.errors import RegengineError
from regengine.maps.at_hand import DAY
from regengine.maps.opening import SEA, DayMap, open_day_map
from regengine.orbit.propagation import CameraPosition, camera_position, position_from_nadir
from regengine.orbit.tle import TleSet, load_tle_file
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.registration.register_on_day import register_on_day
from regengine.registration.types import Prior
from regengine.store.result import FrameResult

# Blue Marble as it was tiled lies so far beside Sentinel-2, kilometres east and north: the truth
# has that taken off
MAP_OFFSET_KM = (0.56, -0.3)


def main(
    *,
    real: Real,
    negatives: Annotated[int, Option(help="trials that must not be accepted")] = 120,
    seed: int = 1,
    lines: Annotated[Path, Option(help="rows of trials, continued")] = Path("day-trials.jsonl"),
    out: Out = None,
) -> None:
    """Run the trials that are not in the file of lines, and write the page."""
    day_map = open_day_map([DAY])
    truth = {row["file"]: row for row in read_csv(real / "day/truth.csv")}
    truth |= {f"{row['frame_id']}.jpg": row for row in read_csv(real / "day/tele/truth.csv")}
    tles = load_tle_file(real / "orbit/iss_tles_dense.txt")
    done = {(row["kind"], row["name"]) for row in read_rows(lines)}
    far = draw_far_trials(real / "day/tele")
    with tempfile.TemporaryDirectory() as folder:
        region = cut_region(DAY, Path(folder) / "region.tif")
        for trial in itertools.chain(
            far, draw_trials(real, day_map, region, tles, negatives, seed)
        ):
            if (trial.kind, trial.name) not in done:
                append_row(lines, run_trial(trial, day_map, truth))
    write_page(out, "day", page_lines(read_rows(lines)))


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A photograph, and where and when it is said to be taken."""

    name: str
    kind: str
    photo: Path
    position: CameraPosition | None
    focal_scale: float = 1.0
    focal_mm: float | None = None
    picture: Path | None = None  # its own map, where it is not Blue Marble
    shape: float = 0.0  # width over height of the photo, where the copy is squared


WITHOUT_TRUTH = (
    *("mirrored", "elsewhere", "other"),
    *("untimed mirrored", "untimed other", "far mirrored", "far elsewhere"),
)
REGION = (-20.0, 0.0, 105.0, 60.0)  # Africa, Europe and Asia: a world is not searched untimed


def cut_region(world: Path, out: Path) -> Path:
    """Cut the region of photos without a time out of the map of the world."""
    with rasterio.open(world) as whole:
        bounds = transform_bounds("EPSG:4326", whole.crs, *REGION)
        window = whole.window(*bounds).round_offsets().round_lengths()
        kept = {"transform": whole.window_transform(window), "compress": "deflate"}
        size = {"width": int(window.width), "height": int(window.height)}
        with rasterio.open(out, "w", **{**whole.profile, **kept, **size}) as made:
            made.update_tags(PRODUCT="Blue Marble")
            made.write(whole.read(window=window))
    return out


def draw_trials(
    real: Path, land: DayMap, region: Path, tles: TleSet, negatives: int, seed: int
) -> Iterator[Trial]:
    """Trials in the order in which they are run; the same for the same seed."""
    rng = np.random.default_rng(seed)
    timed = [
        (row["file"], Path(row["path"]), datetime.fromisoformat(row["time_utc"]))
        for row in list_photos(real, "day/photos")
        if row["time_utc"]
    ]
    for name, photo, at in timed:
        yield Trial(name=name, kind="timed", photo=photo, position=camera_position(tles, at))
    collected = list_collected(real)
    for name, photo, at, focal_mm in collected:
        if photo.parent.name == "day":
            here = camera_position(tles, at)
            yield Trial(name=f"{name} {focal_mm:g} mm", kind="any", photo=photo, position=here)
    for name, photo, _ in timed:
        for kind in ("untimed", "untimed mirrored"):
            yield Trial(name=name, kind=kind, photo=photo, position=None, picture=region)
    for name, photo, at in timed[3::3]:
        late = camera_position(tles, at + timedelta(seconds=20))
        yield Trial(name=name, kind="clock", photo=photo, position=late)
        here = camera_position(tles, at)
        for scale in (0.85, 1.15):
            label = f"{name} x{scale}"
            yield Trial(name=label, kind="lens", photo=photo, position=here, focal_scale=scale)
    others = [(row["file"], Path(row["path"])) for row in list_photos(real, "photos", "photos2")]
    for name, photo in others:
        if not name.startswith(("day/", "infrared/")):
            kind = "untimed other"
            yield Trial(name=name, kind=kind, photo=photo, position=None, picture=region)
    pool = [*((*one, None) for one in timed), *collected]
    yield from draw_negatives(land, pool, others, tles, negatives, rng)


def list_collected(real: Path) -> list[tuple[str, Path, datetime, float]]:
    """Photos by day and by night of ``woe/``: name, file, time and focal length.

    Longer lenses are not looked for on this map.
    """
    found = []
    for row in read_csv(real / "woe/index.csv"):
        focal_mm = float(row["focal_mm"] or 0.0)
        if row["tag"] in ("day", "night") and 0.0 < focal_mm < 280.0:
            photo = real / "woe" / row["file"]
            at = read_frame(photo).time_utc  # with the fraction of the second, as `register` has it
            assert at is not None
            found.append((photo.name, photo, at, focal_mm))
    return found


# Trials at one place, which share what is made of the map, up to one of these lenses; and lenses of
# photographs that tell none
AT_A_PLACE, LONGEST_MM = 26, (60.0, 120.0, 280.0)
LENSES_MM = (20.0, 28.0, 35.0, 50.0, 70.0, 100.0, 140.0, 200.0, 270.0)


def draw_negatives(
    land: DayMap,
    pool: Sequence[tuple[str, Path, datetime, float | None]],
    others: Sequence[tuple[str, Path]],
    tles: TleSet,
    negatives: int,
    rng: np.random.Generator,
) -> Iterator[Trial]:
    """Frames mirrored, and frames and other photographs over land where they were not taken.

    Photographs without a lens are given one, so that all scales of the map are drawn.
    """
    for first in range(0, negatives, AT_A_PLACE):
        while True:
            moment = pool[0][2] + timedelta(seconds=float(rng.uniform(-3e7, 3e7)))
            place = camera_position(tles, moment)
            box = place.lon - 4.0, place.lat - 4.0, place.lon + 4.0, place.lat + 4.0
            red = land.find_window(*box, 0.1)
            if red is not None and np.mean(np.abs(red.values - SEA[2][0] / 255.0) > 1e-3) > 0.3:
                break
        longest_mm = LONGEST_MM[first // AT_A_PLACE % len(LONGEST_MM)]
        trials: list[Trial] = []
        while len(trials) < AT_A_PLACE:
            n = first + len(trials)
            focal_mm: float | None
            if n % 2:
                (name, photo), kind, there = others[int(rng.integers(len(others)))], "other", place
                focal_mm = float(rng.choice([one for one in LENSES_MM if one <= longest_mm]))
            else:
                name, photo, at, focal_mm = pool[int(rng.integers(len(pool)))]
                here = camera_position(tles, at)
                kind, there = ("mirrored", here) if n % 16 == 6 else ("elsewhere", place)
                away_m = WGS84.inv(here.lon, here.lat, place.lon, place.lat)[2]
                if (focal_mm or 0.0) > longest_mm or (kind == "elsewhere" and away_m < 2.4e6):
                    continue
            trials.append(
                Trial(name=f"{n} {name}", kind=kind, photo=photo, position=there, focal_mm=focal_mm)
            )
        yield from sorted(trials, key=lambda one: one.focal_mm or 36.0)


def draw_far_trials(folder: Path) -> Iterator[Trial]:
    """Telephoto frames on their own squares, mirrored, and on squares of others as fine.

    The copies are squared, and turned: they are tried as they are, and stretched to 3:2 and to 2:3,
    one of which is wrong.
    """
    rows = read_csv(folder / "index.csv")
    for kind in ("squared", "telephoto", "far mirrored", "far elsewhere"):
        for row, there in itertools.product(rows, rows):
            finer = float(there["map_m_per_px"]) / float(row["map_m_per_px"])
            if (row is there) != (kind != "far elsewhere") or not 0.5 < finer < 2.0:
                continue
            nadir = float(there["aims_nadir_lon"]), float(there["aims_nadir_lat"])
            shapes = {"1:1": 0.0, "3:2": 1.5, "2:3": 1.0 / 1.5}
            names = {"squared": ["1:1"], "telephoto": ["3:2", "2:3"]}.get(kind, list(shapes))
            for name in names:
                yield Trial(
                    name=f"{row['photo']} {name} on {there['map']}",
                    kind=kind,
                    photo=folder / row["photo"],
                    position=position_from_nadir(*nadir, 405.0, "option"),
                    focal_mm=float(row["focal_mm"]),
                    picture=folder / there["map"],
                    shape=shapes[name],
                )


def run_trial(trial: Trial, day_map: DayMap, truth: dict[str, dict[str, str]]) -> Row:
    """One row: verdict, scores, seconds, and how far off the place is where that is known."""
    row: Row = {"kind": trial.kind, "name": trial.name}
    with tempfile.TemporaryDirectory() as folder:
        try:
            frame = prepare(trial, Path(folder))
            if trial.picture is not None:
                day_map = open_day_map([trial.picture])
            start_s = time.process_time()
            result = register_on_day(frame, Prior(position=trial.position), day_map)
        except RegengineError as error:
            return row | {"verdict": "failed", "reason": str(error)}
    row |= {
        "cpu_s": round(time.process_time() - start_s, 2),
        "verdict": result.verdict,
        "reason": ", ".join(reason.code for reason in result.reasons),
        "proof": "; ".join(proof.text for proof in result.proofs),
        # The lower of both levels
        "score": min((round(-proof.log10_chance, 1) for proof in result.proofs), default=None),
    }
    known = truth.get(trial.photo.name)
    if known is None or trial.kind in WITHOUT_TRUTH or not known["centre_lon"]:
        return row
    return row | judge(result, known)


def prepare(trial: Trial, folder: Path) -> Frame:
    """The frame as it is told, its photo mirrored or stretched."""
    photo = trial.photo
    if "mirrored" in trial.kind or trial.shape:
        photo = folder / trial.photo.name
        with Image.open(trial.photo) as picture:
            exif, shown = picture.getexif(), picture.convert("RGB")
        if "mirrored" in trial.kind:
            shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if trial.shape:
            width, height = shown.size
            short = (width, round(width / trial.shape)), (round(height * trial.shape), height)
            shown = shown.resize(short[trial.shape < 1.0], Image.Resampling.LANCZOS)
        shown.save(photo, quality=95, exif=exif.tobytes())
    frame = read_frame(photo)
    if trial.focal_mm is not None:
        frame = read_frame(photo, options=FrameOptions(focal_mm=trial.focal_mm))
    elif frame.focal_mm is None:
        # As wide as Astro Pi's
        pitch_um, focal_mm = 1e3 * 36.0 / max(frame.width_px, frame.height_px), 36.0
        options = FrameOptions(focal_mm=focal_mm, pixel_pitch_um=pitch_um)
        frame = read_frame(photo, options=options)
    return replace(frame, focal_mm=(frame.focal_mm or 1.0) * trial.focal_scale)


def judge(result: FrameResult, known: dict[str, str]) -> Row:
    """How far east and north of its true place the middle of the frame is, and what is claimed."""
    if result.solved is None:
        return {}
    camera: Camera = result.solved.camera
    lon, lat = camera.pixel_to_lonlat((camera.width_px - 1) / 2, (camera.height_px - 1) / 2)
    true = float(known["centre_lon"]), float(known["centre_lat"])
    azimuth, _, away_m = WGS84.inv(*true, float(lon), float(lat))
    turn, points = np.radians(azimuth), result.control_points
    return {
        "truth": known["method"],
        "sigma_km": float(known["sigma_km"]),
        "east_km": round(float(away_m * np.sin(turn) / 1e3), 3),
        "north_km": round(float(away_m * np.cos(turn) / 1e3), 3),
        "sigma_point_km": round(float(np.median([p.sigma_m for p in points])) / 1e3, 3)
        if points
        else None,
    }


NOTE = (
    "Map: the package's Blue Marble (0.6 km at the equator); features of regional maps were made "
    "before. `python -m benchmarks day --help` tells of the "
    "kinds of trials."
)
FRAME_COLUMNS = (
    *("name", "verdict", "reason", "score", "truth", "east_km", "north_km"),
    *("sigma_point_km", "cpu_s"),
)
KINDS = ("timed", "any", "clock", "lens", "untimed", "telephoto", "squared", *WITHOUT_TRUTH)


def page_lines(rows: Sequence[Row]) -> list[str]:
    """The page: what was right, how sure, how fast; then every frame with a truth."""
    trials = pd.DataFrame(rows).reindex(columns=["kind", *FRAME_COLUMNS])
    known = trials[~trials.kind.isin(WITHOUT_TRUTH)][list(FRAME_COLUMNS)]
    cells = known.astype(object).where(known.notna(), NONE).astype(str).to_numpy().tolist()
    return [
        *title_lines("Frames by day on Blue Marble", NOTE),
        *kind_table(trials),
        "",
        *probability_lines(trials),
        *offset_lines(trials),
        *table(FRAME_COLUMNS, cells),
    ]


def kind_table(trials: pd.DataFrame) -> list[str]:
    """Verdicts, highest score and time of each kind of trial."""

    def seconds(some: pd.DataFrame) -> str:
        known = some.cpu_s.dropna()
        return f"{known.median():.1f} / {known.max():.1f}" if len(known) else NONE

    rows = []
    for kind in KINDS:
        some = trials[trials.kind == kind]
        accepted, review = (some.verdict == word for word in ("accepted", "review"))
        cells = [kind, str(len(some)), str(accepted.sum()), str(review.sum())]
        spent = seconds(some[accepted]), seconds(some[~accepted])
        rows.append([*cells, number(some.score.max(), 1), *spent])
    header = "trials | number | accepted | review | highest score"
    return table(f"{header} | CPU s accepted (median / highest) | CPU s given up", rows)


def probability_lines(trials: pd.DataFrame) -> list[str]:
    """Probability of a place by its verdict: of ``any`` photos, right ones against those elsewhere.

    All of ``any`` that are placed must have been looked at. Right ones for review are counted with
    those of which the truth is known, and one more. The highest share of wrong ones that their
    number allows (95 %), and Laplace's, give the lower and the higher probability.
    """
    wrong = trials[trials.kind.isin(("elsewhere", "mirrored", "other"))].verdict
    drawn = trials[trials.kind == "any"].verdict
    right = trials[trials.kind.isin(("timed", "clock", "lens", "any"))].verdict
    placed, said = float((drawn == "accepted").mean()), []
    accepted, review = (int((right == word).sum()) for word in ("accepted", "review"))
    shares = {"review": placed * (review + 1) / max(accepted, 1), "accepted": placed}
    for word, share in shares.items():
        met = int((wrong == word).sum())
        bounds = float(beta.ppf(0.95, met + 1, len(wrong) - met)), (met + 1) / (len(wrong) + 2)
        low, high = (share / (share + (1.0 - placed) * one) for one in bounds)
        said.append(f"{word}: {met} of {len(wrong)} wrong, probability {low:.3f} to {high:.4f}")
    return [f"{'; '.join(said)}.", ""] if len(wrong) and len(drawn) else []


def offset_lines(trials: pd.DataFrame) -> list[str]:
    """How far off accepted frames are whose truth was measured."""
    surely = (trials.kind == "timed") & (trials.verdict == "accepted") & (trials.truth == "sift")
    off = trials[surely][["east_km", "north_km"]].to_numpy(float)
    if not len(off):
        return []
    left = np.hypot(*(off - MAP_OFFSET_KM).T)
    return [
        f"Of {len(off)} accepted frames whose truth was measured the middle lies "
        f"{np.median(np.hypot(*off.T)):.2f} km off in the median, as the map does; with the map's "
        f"offset taken off ({MAP_OFFSET_KM[0]} km east, {-MAP_OFFSET_KM[1]} km south) "
        f"{np.median(left):.2f} km, {left.max():.2f} km at most.",
        "",
    ]
