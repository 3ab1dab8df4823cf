"""Whether photos of one camera that tell each other of its clock are placed more often.

``python -m benchmarks sharing`` draws sequences of simulated photos: frames of one pass, by a
camera whose clock is wrong by the same in all of them, half of them easy and half hard. Each
sequence is registered by the command line with ``--neighbours`` and with ``--no-neighbours``, with
the same budget of a search, and judged by the true cameras. ``--real`` takes the groups of city
photos of a folder, too; of those there are only verdicts.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from benchmarks.pages import NONE, number, parser, table, title_lines, write_page
from benchmarks.processes import one_thread, run_and_measure
from benchmarks.registration.cases import CATEGORIES, RECORDS
from benchmarks.row_tables import read_rows
from benchmarks.simulate import PHOTO_LIGHTS, SampleFrame, sample_camera, sample_world, utc_of_2014
from benchmarks.simulate import camera as simulated
from benchmarks.simulate.cases import SAMPLE_MAP, SAMPLE_REGION
from benchmarks.simulate.orbit import elements_at, pass_over, slip_elements, state_ecef, tle_lines
from benchmarks.simulate.photo_files import CameraSettings, exif_bytes
from benchmarks.simulate.render import render, to_jpeg
from benchmarks.simulate.weather import SceneParameters
from benchmarks.simulate.worlds import TownWorld
from benchmarks.trials.attempt import camera_of
from regengine.evaluate import registration as judging

ELEMENT_SETS = "orbit/iss_tles_dense.txt"  # of all years of the groups of real photos
CLOCK_ERRORS_S = (540.0, 0.0, 60.0)  # in turn, either way
HARD = ("oblique", "unknown lens", "few lights")  # and a short exposure of all of them
# A sequence passes near one of the greatest towns, away from the edge of the land
N_GREATEST, EDGE_DEG = 20, 5.0
REACH_M = 350e3  # about 40 degrees off nadir
EARTH_RADIUS_M = 6_371_000.0


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A frame as it is drawn: its true camera, and what makes it hard."""

    frame: SampleFrame
    camera: simulated.SimCamera
    difficulty: str  # of `HARD`; "" for an easy one


def draw_sequence(seed: int, frames: int, world: TownWorld) -> tuple[str, list[Shot]]:
    """An element set of hours before, and frames by the order of their times, half of them easy."""
    rng, places = np.random.default_rng(seed), world.places
    towns = np.flatnonzero(~places.is_road)
    towns = towns[np.argsort(-places.power[towns], kind="stable")]
    lon, lat = places.lon[towns], places.lat[towns]
    west, south, east, north = SAMPLE_REGION.bounds
    inner = (np.minimum(lon - west, east - lon) > EDGE_DEG) & (
        np.minimum(lat - south, north - lat) > EDGE_DEG
    )
    city = rng.choice(np.flatnonzero(inner[:N_GREATEST]))
    over_city = utc_of_2014(1, int(rng.integers(10, 28)), int(rng.integers(8, 12)), 0, 0)
    under = float(lon[city] + rng.uniform(-1.5, 1.5)), float(lat[city] + rng.uniform(-1.5, 1.5))
    orbit = pass_over(*under, over_city, northbound=bool(rng.integers(2)))
    way, focal_error = float(rng.choice([-1.0, 1.0])), float(rng.normal(0.0, 0.008))
    clock_error_s = 0.0 + way * CLOCK_ERRORS_S[seed % len(CLOCK_ERRORS_S)]
    easy = rng.permutation(frames)[: (frames + 1) // 2]
    seconds = np.cumsum(rng.uniform(10.0, 60.0, frames))
    shots = []
    for k in range(frames):
        difficulty = "" if k in easy else str(rng.choice(HARD))
        time_utc = over_city + timedelta(seconds=float(seconds[k] - seconds[easy[0]]))
        station = simulated.geodetic_of(state_ecef(orbit.satrec(), time_utc)[0])
        nadir_lon, nadir_lat, height_m = (float(value) for value in station)
        azimuth_deg, _, away_m = simulated.wgs84().inv(
            np.full_like(lon, nadir_lon), np.full_like(lat, nadir_lat), lon, lat
        )
        near = np.flatnonzero(away_m < max(REACH_M, 1.001 * away_m.min()))
        # The greatest comes first
        aim = rng.choice(near[len(near) // 20 :][:300]) if difficulty == "few lights" else near[0]
        angle, height = away_m[aim] / EARTH_RADIUS_M, height_m / EARTH_RADIUS_M
        lean_deg = np.degrees(np.arctan2(np.sin(angle), 1.0 + height - np.cos(angle)))
        pointing = simulated.Pointing(
            off_nadir_deg=float(rng.uniform(50.0, 60.0) if difficulty == "oblique" else lean_deg),
            azimuth_deg=float(azimuth_deg[aim]),
            roll_deg=float(rng.uniform(-180.0, 180.0)),
        )
        dim = rng.uniform(10.0, 30.0) if difficulty else 1.0
        frame = SampleFrame(
            frame_id=f"SIM{seed:03d}-E-{k + 1:04d}",
            time_utc=time_utc,
            clock_error_s=clock_error_s,
            focal_mm=135.0 if difficulty == "few lights" else 50.0,
            focal_error=focal_error,
            pointing=pointing,
            width_px=600,
            height_px=400,
            scene=SceneParameters(
                seed=1000 * seed + k, saturation_nw=150.0 * dim, most_lamps=300_000
            ),
        )
        shots.append(Shot(frame=frame, camera=sample_camera(frame, orbit), difficulty=difficulty))
    before = slip_elements(elements_at(orbit, over_city - timedelta(hours=8)), 3.0)
    return tle_lines(before, "SIMULATED"), shots


@dataclass(frozen=True, kw_only=True)
class PhotoSequence:
    """Photos that may tell each other something, and what is known of them."""

    name: str
    photos: tuple[judging.TruePhoto, ...]  # by the names of their files
    words: tuple[str, ...]  # of ``regengine register``: photos, map, element sets


def write_sequence(folder: Path, seed: int, frames: int, world: TownWorld) -> PhotoSequence:
    """Draw a sequence into a new folder of files."""
    elements, shots = draw_sequence(seed, frames, world)
    folder.mkdir()
    (folder / "elements.tle").write_text(elements, encoding="ascii")
    photos, paths = [], []
    for shot in shots:
        frame, known = shot.frame, shot.difficulty != "unknown lens"
        clock_utc = frame.time_utc + timedelta(seconds=frame.clock_error_s)
        settings = CameraSettings(clock_utc=clock_utc, focal_mm=frame.focal_mm if known else None)
        picture = render(shot.camera, world, PHOTO_LIGHTS, frame.scene)
        path = folder / f"{frame.frame_id}.jpg"
        path.write_bytes(to_jpeg(picture, frame.scene.jpeg_quality, exif_bytes(settings)))
        paths.append(str(path))
        photos.append(
            judging.TruePhoto(
                name=path.stem, status=judging.PLACED, split="", camera=camera_of(shot.camera)
            )
        )
    hard = ", ".join(shot.difficulty for shot in shots if shot.difficulty)
    return PhotoSequence(
        name=f"{seed}: clock {shots[0].frame.clock_error_s:+.0f} s; {hard}",
        photos=tuple(photos),
        words=(*paths, "--lights", str(SAMPLE_MAP), "--tle", str(folder / "elements.tle")),
    )


def list_real_sequences(real: Path, lights: Path) -> Iterator[PhotoSequence]:
    """Groups of city photos of two frames or more, one file of each: no copy where there is one."""
    groups: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    rows = [row for row in read_rows([real / RECORDS]) if row["category"] in CATEGORIES]
    for row in sorted(
        rows, key=lambda row: (Path(row["file"]).name.startswith("unproc_"), row["file"])
    ):
        if row["group"] and row["frame_id"]:
            groups[row["group"]].setdefault(row["frame_id"], real / "photos" / row["file"])
    told = ("--lights", lights, "--tle", real / ELEMENT_SETS, "--metadata", real / RECORDS)
    for group, files in sorted(groups.items()):
        if len(files) > 1:
            photos = (
                judging.TruePhoto(name=path.stem, status=judging.UNPLACED, split="", camera=None)
                for path in files.values()
            )
            words = tuple(map(str, (*files.values(), *told)))
            yield PhotoSequence(name=group, photos=tuple(photos), words=words)


# Of a frame with sharing and without: "right", "wrong", "accepted" (nobody knows), "none"
Pair = tuple[str, str]


def register(sequence: PhotoSequence, option: str, folder: Path) -> tuple[list[str], float]:
    """What becomes of each photo of a sequence, and the CPU seconds of the run."""
    store = folder / f"{sequence.photos[0].name}{option}.h5"
    words = ["register", *sequence.words, "--store", str(store), "--workers", "0", option]
    with one_thread():
        _, _, cpu_s, _ = run_and_measure([*words, "--json", "--quiet"])
    answers, outcomes = judging.read_answers(store), []
    for score in judging.score_answers(sequence.photos, answers):
        accepted = judging.photo_key(score.name) in answers
        unjudged = "accepted" if accepted else "none"
        outcomes.append(unjudged if score.outcome == "unjudged" else score.outcome)
    return outcomes, cpu_s


def count_changed(pairs: Sequence[Pair]) -> tuple[int, int]:
    """Frames that sharing has won, and those that it has lost: accepted, and not known wrong."""
    placed = [tuple(outcome in ("right", "accepted") for outcome in pair) for pair in pairs]
    return placed.count((True, False)), placed.count((False, True))


def find_p_value(won: int, lost: int) -> float:
    """Of the exact test of McNemar, two-sided: that frames are lost as often as won."""
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def count_cells(name: str, pairs: Sequence[Pair], cpu_s: Sequence[float]) -> list[str]:
    """A row of the table."""
    cells = [name, str(len(pairs))]
    for wanted in (("right", "wrong", "accepted"), ("right",), ("wrong",)):
        unknown = "accepted" not in wanted and any("accepted" in pair for pair in pairs)
        for outcomes in zip(*pairs, strict=True):
            count = sum(outcome in wanted for outcome in outcomes)
            cells.append(NONE if unknown else str(count))
    return [*cells, *map(str, count_changed(pairs)), *(number(one_s, 0) for one_s in cpu_s)]


def compare(kind: str, sequences: Iterator[PhotoSequence], most_cpu_s: float) -> list[str]:
    """The table of a kind, of as many sequences as are begun in so much time, and its p value."""
    rows, pairs, cpu_s = [], list[Pair](), np.zeros(2)
    with tempfile.TemporaryDirectory() as folder:
        for sequence in sequences:
            shared, shared_s = register(sequence, "--neighbours", Path(folder))
            alone, alone_s = register(sequence, "--no-neighbours", Path(folder))
            found = list(zip(shared, alone, strict=True))
            rows.append(count_cells(sequence.name, found, (shared_s, alone_s)))
            print(*rows[-1], found, file=sys.stderr, flush=True)
            pairs += found
            cpu_s += shared_s, alone_s
            if cpu_s.sum() >= most_cpu_s:
                break
    won, lost = count_changed(pairs)
    header = f"{kind} | frames | accepted | alone | right | alone | wrong | alone | won | lost"
    rows.append(count_cells("all", pairs, cpu_s.tolist()))
    test = f"{won} won against {lost} lost: p = {find_p_value(won, lost):.2g}"
    lines = table(f"{header} | CPU s | alone", rows, 11)
    return [*lines, "", f"{test} (exact McNemar test, two-sided).", ""]


def main(argv: Sequence[str]) -> int:
    """Register the sequences twice and print what sharing changes."""
    given = parser("sharing", __doc__)
    given.add_argument("--sequences", type=int, default=6, help="simulated ones, by their seeds")
    given.add_argument("--frames", type=int, default=4, help="of a simulated sequence")
    given.add_argument("--minutes", type=float, default=10.0, help="CPU time of a kind, no more")
    given.add_argument("--real", type=Path, help="folder of the real data")
    given.add_argument("--lights", type=Path, help="map to register real photos on")
    options = given.parse_args(argv)
    if options.real is not None and options.lights is None:
        given.error("no map to register real photos on: say --lights MAP.tif")
    world, most_cpu_s = sample_world(), 60.0 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        drawn = (
            write_sequence(Path(folder) / str(seed), seed, options.frames, world)
            for seed in range(options.sequences)
        )
        lines = compare("simulated", drawn, most_cpu_s)
    command = f"python -m benchmarks sharing --sequences {options.sequences}"
    command += f" --frames {options.frames} --minutes {options.minutes:g}"
    if options.real is not None:
        lines += compare("real", list_real_sequences(options.real, options.lights), most_cpu_s)
        command += " --real FOLDER --lights MAP.tif"
    note = (
        "Frames of a sequence are of one camera within minutes, and registered with "
        "`--neighbours` and with `--no-neighbours` (*alone*). *Won*: accepted and not wrong with "
        "sharing only; *lost*: the reverse. Of real photos nothing is known but the verdicts."
    )
    title = title_lines("Photos that help each other", command, note)
    write_page(options.out, "sharing", [*title, *lines[:-1]])
    return 0
