"""How frames by day are placed on Blue Marble, and how often chance places what it must not.

``python -m benchmarks day`` needs the real photographs (``REGENGINE_REAL_DATA``): the timed frames
of ``day/`` by their times, telephoto frames on their Sentinel-2 squares, and as many negatives as
asked for: timed frames mirrored at their own places, as they are more than 900 km away, and
photographs of other things at any place. Photographs by day of unknown places are put anywhere,
too, and may be right there. Each line of ``--lines FILE`` is one trial; those that it holds are not
run again.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.pages import command_of, table, title_lines
from matchers.geometry.camera import Camera
from matchers.geometry.footprint import WGS84
from regengine.errors import RegengineError
from regengine.orbit.propagation import CameraPosition, camera_position, position_from_nadir
from regengine.orbit.tle import TleSet, load_tle_file
from regengine.photo.frame import FrameOptions, read_frame
from regengine.references.day import DayMap, open_day_map
from regengine.registration.day.register_on_day import register_on_day
from regengine.registration.types import Prior

PROJECT = Path(__file__).resolve().parents[1]
# Blue Marble as it was tiled lies so far beside Sentinel-2, kilometres east and north: the truth
# has that taken off
MAP_OFFSET_KM = (0.56, -0.3)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A photograph, and where and when it is said to be taken.

    kind: "timed", "clock" (time wrong by 20 s), "lens" (focal length wrong by 15 %), "untimed" (on
        the regional map, without time), "telephoto", "squared" (telephoto copies as they are),
        "anywhere" (by day, of a place that is not known, and may be the one that is drawn), or of
        what must not be accepted: "mirrored", "elsewhere", "other", "untimed mirrored",
        "untimed other", "far mirrored", "far
        elsewhere".
    picture: Its own map, where it is not Blue Marble.
    shape: Width over height of the photo, where the copy is squared.
    """

    name: str
    kind: str
    photo: Path
    position: CameraPosition | None
    focal_scale: float = 1.0
    focal_mm: float | None = None
    picture: Path | None = None
    shape: float = 0.0


FALSE = (
    "mirrored",
    "elsewhere",
    "other",
    "untimed mirrored",
    "untimed other",
    "far mirrored",
    "far elsewhere",
)
WITHOUT_TRUTH = ("anywhere", *FALSE)
REGION = "bluemarble_z8_africa_europe_asia_20w_105e_0_60n.tif"


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table by the names of its columns."""
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def draw_trials(real: Path, tles: TleSet, negatives: int, seed: int) -> Iterator[Trial]:
    """Trials in the order in which they are run; the same for the same seed."""
    rng = np.random.default_rng(seed)
    timed = []
    for row in read_rows(real / "day/photos/index.csv"):
        if row["time_utc"]:
            at = datetime.fromisoformat(row["time_utc"])
            timed.append((row["file"], real / "day/photos" / row["file"], at))
    for name, photo, at in timed:
        yield Trial(name=name, kind="timed", photo=photo, position=camera_position(tles, at))
    region = real / "day" / REGION
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
    others = []
    for folder in ("photos", "photos2"):
        for row in read_rows(real / folder / "index.csv"):
            others.append((row["file"], real / folder / row["file"]))
    for name, photo in others:
        if not name.startswith(("day/", "infrared/")):
            kind = "untimed other"
            yield Trial(name=name, kind=kind, photo=photo, position=None, picture=region)
    others += [(p.name, p) for p in sorted((real / "day/photos").glob("cslab3ogel_*.jpg"))]
    for number in range(negatives):
        kind = ("mirrored", "elsewhere", "elsewhere", "other", "other")[number % 5]
        if kind == "other":
            name, photo = others[rng.integers(len(others))]
            is_by_day = name.startswith(("day/", "infrared/", "cslab3ogel_"))
            kind = "anywhere" if is_by_day else kind
        else:
            name, photo, at = timed[rng.integers(len(timed))]
        here = camera_position(tles, at)
        place = here
        while kind != "mirrored":
            # Over the map, which ends at 60 N, more than 900 km away, moving as the station does
            moment = at + timedelta(seconds=float(rng.uniform(-86400.0, 86400.0)))
            place = camera_position(tles, moment)
            away_km = WGS84.inv(here.lon, here.lat, place.lon, place.lat)[2] / 1e3
            if away_km > 900.0 and -15.0 < place.lon < 100.0 and place.lat > 4.0:
                break
        yield Trial(name=f"{number} {name}", kind=kind, photo=photo, position=place)


def draw_far_trials(folder: Path) -> Iterator[Trial]:
    """Telephoto frames on their own squares, mirrored, and on squares of others as fine.

    The copies are squared, and turned: they are tried as they are, and stretched to 3:2 and to 2:3,
    one of which is wrong.
    """
    rows = read_rows(folder / "index.csv")
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


def run_trial(trial: Trial, day_map: DayMap, truth: dict[str, dict[str, str]]) -> dict[str, object]:
    """One line: verdict, scores, seconds, and how far off the place is where that is known."""
    with tempfile.TemporaryDirectory() as folder:
        photo = trial.photo
        if "mirrored" in trial.kind or trial.shape:
            photo = Path(folder) / trial.photo.name
            with Image.open(trial.photo) as picture:
                exif, shown = picture.getexif(), picture.convert("RGB")
            if "mirrored" in trial.kind:
                shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            if trial.shape:
                width, height = shown.size
                short = (width, round(width / trial.shape)), (round(height * trial.shape), height)
                shown = shown.resize(short[trial.shape < 1.0], Image.Resampling.LANCZOS)
            shown.save(photo, quality=95, exif=exif.tobytes())
        line: dict[str, object] = {"kind": trial.kind, "name": trial.name}
        try:
            frame = read_frame(photo)
            if trial.focal_mm is not None:
                frame = read_frame(photo, options=FrameOptions(focal_mm=trial.focal_mm))
            elif frame.focal_mm is None:
                # As wide as Astro Pi's
                pitch_um, focal_mm = 1e3 * 36.0 / max(frame.width_px, frame.height_px), 36.0
                options = FrameOptions(focal_mm=focal_mm, pixel_pitch_um=pitch_um)
                frame = read_frame(photo, options=options)
            frame = replace(frame, focal_mm=(frame.focal_mm or 1.0) * trial.focal_scale)
            if trial.picture is not None:
                day_map = open_day_map([trial.picture])
            start_s = time.process_time()
            result = register_on_day(frame, Prior(position=trial.position), day_map)
        except RegengineError as error:
            return line | {"verdict": "failed", "reason": str(error)}
        line |= {
            "cpu_s": round(time.process_time() - start_s, 2),
            "verdict": result.verdict,
            "reason": ", ".join(reason.code for reason in result.reasons),
            "proof": (proof := dict(result.sources).get("proof", "")),
            # The lower of both levels
            "score": min(map(float, re.findall(r"1e-([\d.]+)\)", proof)), default=None),
        }
    row = truth.get(trial.photo.name)
    if result.solved is None or row is None or trial.kind in WITHOUT_TRUTH or not row["centre_lon"]:
        return line
    camera = result.solved.camera
    line |= {"truth": row["method"], "sigma_km": float(row["sigma_km"])}
    east, north = offset_km(camera, (camera.width_px - 1) / 2, (camera.height_px - 1) / 2, row)
    line |= {"east_km": round(east, 3), "north_km": round(north, 3)}
    points = [(point.sigma_m / 1e3, point.x, point.y) for point in result.control_points]
    return line | {
        "sigma_point_km": round(float(np.median([p[0] for p in points])), 3) if points else None
    }


def offset_km(camera: Camera, x: float, y: float, row: dict[str, str]) -> tuple[float, float]:
    """How far east and north of its true place a camera shows the middle of a frame."""
    lon, lat = camera.pixel_to_lonlat(x, y)
    azimuth, _, away_m = WGS84.inv(
        float(row["centre_lon"]), float(row["centre_lat"]), float(lon), float(lat)
    )
    turn = np.radians(azimuth)
    return float(away_m * np.sin(turn) / 1e3), float(away_m * np.cos(turn) / 1e3)


def report_lines(lines: Sequence[dict[str, object]], arguments: Sequence[str]) -> list[str]:
    """The page: what was right, how sure, how fast; then every timed frame."""

    def seconds(some: Sequence[dict[str, object]]) -> str:
        values = [float(str(line["cpu_s"])) for line in some if line.get("cpu_s") is not None]
        return f"{np.median(values):.1f} / {max(values):.1f}" if values else "–"

    rows = []
    for kind in ("timed", "clock", "lens", "untimed", "telephoto", "squared", *WITHOUT_TRUTH):
        some = [line for line in lines if line["kind"] == kind]
        accepted = [line for line in some if line["verdict"] == "accepted"]
        review = [line for line in some if line["verdict"] == "review"]
        scores = [float(str(line["score"])) for line in some if line.get("score") is not None]
        rows.append(
            (
                kind,
                len(some),
                len(accepted),
                len(review),
                f"{max(scores):.1f}" if scores else "–",
                seconds(accepted),
                seconds([line for line in some if line["verdict"] != "accepted"]),
            )
        )
    heads = (
        "trials",
        "number",
        "accepted",
        "review",
        "highest score",
        "CPU s accepted (median / highest)",
        "CPU s given up",
    )
    page = [*table(heads, [[str(cell) for cell in row] for row in rows]), ""]
    surely = [
        line
        for line in lines
        if line["kind"] == "timed" and line["verdict"] == "accepted" and line.get("truth") == "sift"
    ]
    if surely:
        off = np.array([(line["east_km"], line["north_km"]) for line in surely], float)
        left = np.hypot(*(off - MAP_OFFSET_KM).T)
        page += [
            f"Of {len(surely)} accepted frames whose truth was measured the middle lies "
            f"{np.median(np.hypot(*off.T)):.2f} km off in the median, as the map does; with the "
            f"map's offset taken off ({MAP_OFFSET_KM[0]} km east, {-MAP_OFFSET_KM[1]} km south) "
            f"{np.median(left):.2f} km, {left.max():.2f} km at most.",
            "",
        ]
    frames = [
        (
            line["name"],
            line["verdict"],
            line.get("reason") or "",
            line.get("score") or "–",
            line.get("truth", "–"),
            line.get("east_km", "–"),
            line.get("north_km", "–"),
            line.get("sigma_point_km", "–"),
            line.get("cpu_s", "–"),
        )
        for line in lines
        if line["kind"] not in WITHOUT_TRUTH
    ]
    names = (
        "frame",
        "verdict",
        "reason",
        "score",
        "truth",
        "km east",
        "km north",
        "σ of points, km",
        "CPU s",
    )
    note = (
        "Maps: Blue Marble z8 (0.6 km at the equator) and, where that ends, z6, of "
        "`REGENGINE_REAL_DATA`. Negatives: `mirrored` frames at their own places, frames "
        "`elsewhere` (more than 900 km away), and photographs of `other` things at any place; "
        "those by day of places that are not known, `anywhere`, may be right. "
        "`untimed` frames are looked for on the regional map alone, their negatives mirrored or of "
        "other things. Telephoto frames are on their own Sentinel-2 squares, the `squared` copies "
        "as they are, or stretched to 3:2 and to 2:3 (one of which is wrong), and `far` negatives "
        "mirrored, or on another's square. Features of the maps were made before."
    )
    title = title_lines("Frames by day on Blue Marble", command_of("day", arguments), note)
    return [*title, *page, *table(names, [[str(cell) for cell in line] for line in frames])]


def main(argv: list[str]) -> int:
    """Run the trials that are not in the file of lines, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks day", description=__doc__)
    parser.add_argument("--negatives", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=Path, default=Path("day-trials.jsonl"))
    parser.add_argument("--max-minutes", type=float, default=1e9)
    parser.add_argument("--out", type=Path, help="write the page to this file")
    options = parser.parse_args(argv)
    real = Path(os.environ.get("REGENGINE_REAL_DATA", PROJECT.parent / "shared" / "real"))
    day_map = open_day_map(sorted((real / "day").glob("*.tif")))
    truth = {row["file"]: row for row in read_rows(real / "day/truth.csv")}
    truth |= {f"{row['frame_id']}.jpg": row for row in read_rows(real / "day/tele/truth.csv")}
    lines: dict[tuple[str, str], dict[str, object]] = {}
    if options.lines.exists():
        for text in options.lines.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            lines[line["kind"], line["name"]] = line
    tles = load_tle_file(real / "orbit/iss_tles.txt")
    end_s = time.monotonic() + 60.0 * options.max_minutes
    far = draw_far_trials(real / "day/tele")
    for trial in itertools.chain(far, draw_trials(real, tles, options.negatives, options.seed)):
        if (trial.kind, trial.name) in lines:
            continue
        if time.monotonic() > end_s:
            return 1
        line = run_trial(trial, day_map, truth)
        lines[trial.kind, trial.name] = line
        with options.lines.open("a") as file:
            file.write(json.dumps(line) + "\n")
    page = "\n".join(report_lines(list(lines.values()), argv)) + "\n"
    print(page) if options.out is None else options.out.write_text(page)
    return 0
