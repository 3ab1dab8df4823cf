"""Large simulated photographs: how long they take, and how much memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.pages import NONE, number, table, title_lines
from benchmarks.processes import run_alone
from benchmarks.registration.cases import Case
from benchmarks.registration.process import Outcome, measured
from benchmarks.registration.report import control_point_words
from benchmarks.registration.scores import GroundPoints, score_registration
from benchmarks.registration.truth import Truth
from benchmarks.simulate.cases import Case as SimulatedCase
from benchmarks.simulate.cases import PositionPrior, draw_case
from benchmarks.simulate.light_map import write_geotiff
from benchmarks.simulate.orbit import Elements, pass_over, state_ecef, tle_lines
from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, local_axes
from regengine.pipeline import RunInputs
from regengine.registration.register import RegisterParams

SIZES_PX = {"12 MP": 4256, "24 MP": 6016, "36 MP": 7360}  # long sides, of a D3S, D750 and D810
SEMI_MAJOR_KM_OF_15_5 = 6794.9  # of an orbit with 15.5 revolutions a day
HEADER = (
    *("size", "seed", "lens mm", "off-nadir", "verdict", "median error m", "control points"),
    *("s", "CPU s", "MB", "reasons"),
)


@dataclass(frozen=True, kw_only=True)
class TimedJob:
    """A simulated photo on disk: what to register, with what, and its truth."""

    case: Case
    inputs: RunInputs
    truth: Truth


def run_timed(job: TimedJob) -> Outcome:
    """Register a simulated photo: the work of a child process."""
    return measured(job.case, job.inputs, job.truth)


def timing_report(photos: int, max_seconds: float, tell: Callable[[str], None]) -> list[str]:
    """Register simulated photographs of 12, 24 and 36 megapixels; the whole page."""
    rows, outcomes = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size, long_side_px in SIZES_PX.items():
            for seed in range(1, photos + 1):
                drawn = draw_case(seed, kind="city", long_side_px=long_side_px)
                job = write_job(folder, drawn, max_seconds)
                outcome = run_alone(run_timed, job) or Outcome(
                    case=job.case, truth=job.truth, problem="the process died"
                )
                job.case.photo.unlink()
                outcomes.append(outcome)
                rows.append(timing_row(size, drawn, outcome))
                tell(f"{size}, seed {seed}: {rows[-1][4]}, {outcome.wall_s:.1f} s")
    seconds, peaks = ([getattr(o, name) for o in outcomes] for name in ("wall_s", "peak_mb"))
    command = f"python -m benchmarks registration --timing --photos {photos}"
    note = (
        "Simulated JPEGs over the samples' invented land, with an element set of the day and a "
        "camera clock that is up to 30 s off. *s*: from opening the photo to the result on one "
        "thread; imports and the opening of the map are not in it."
    )
    return [
        *title_lines("Registration of large simulated photographs", command, note),
        f"- Median {np.nanmedian(seconds):.1f} s, slowest {np.nanmax(seconds):.1f} s; largest "
        f"memory {np.nanmax(peaks):.0f} MB.",
        "",
        *table(HEADER, rows),
    ]


def write_job(folder: Path, drawn: SimulatedCase, max_seconds: float) -> TimedJob:
    """Write a drawn case's photo, its map and an element set that puts the station as told."""
    width_px = drawn.camera.width_px
    photo = folder / f"simulated-{width_px}-{drawn.seed:04d}.jpg"
    photo.write_bytes(drawn.photo)
    light_map, elements = folder / "lights.tif", photo.with_suffix(".tle")
    if not light_map.is_file():
        write_indexed(light_map, drawn)
    elements.write_text(tle_lines(elements_for(drawn), "SIMULATED"), encoding="ascii")
    return TimedJob(
        case=Case(name=photo.stem, file=photo.name, photo=photo),
        inputs=RunInputs(
            lights=(light_map,), tle=elements, register=RegisterParams(max_seconds=max_seconds)
        ),
        truth=truth_of(drawn),
    )


def write_indexed(path: Path, drawn: SimulatedCase) -> None:
    """Write a drawn case's map as a user would build it."""
    from regengine.lights.build import build_map
    from regengine.lights.map import open_light_map

    plain = path.with_name(f"plain-{path.name}")
    write_geotiff(plain, drawn.light_map)
    build_map(open_light_map([plain]), path)


def elements_for(drawn: SimulatedCase) -> Elements:
    """Elements whose orbit passes where the case's prior has the station, at the EXIF time."""
    prior = drawn.prior
    revolutions = 15.5
    elements = _pass(drawn, prior, revolutions)
    for _ in range(3):
        height_km = float(ecef_to_geodetic(state_ecef(elements.satrec(), drawn.time_utc)[0])[2])
        # Kepler's third law: a 1.5 times as large relative change of the mean motion
        too_high = (height_km / 1000.0 - prior.altitude_km) / SEMI_MAJOR_KM_OF_15_5
        revolutions *= 1.0 + 1.5 * too_high
        elements = _pass(drawn, prior, revolutions)
    return elements


def _pass(drawn: SimulatedCase, prior: PositionPrior, revolutions_per_day: float) -> Elements:
    _, north, _ = local_axes(prior.lon, prior.lat)
    return pass_over(
        prior.lon,
        prior.lat,
        drawn.time_utc,
        northbound=bool(north @ np.array(prior.velocity_ecef_m_s) > 0.0),
        revolutions_per_day=revolutions_per_day,
    )


def truth_of(drawn: SimulatedCase) -> Truth:
    """The camera and reference points that the simulator knows."""
    known, points = drawn.truth["camera"], drawn.truth["reference_points"]
    camera = Camera(
        width_px=known["width_px"],
        height_px=known["height_px"],
        focal_px=known["focal_px"],
        principal_point=tuple(known["principal_point"]),
        quaternion=tuple(known["quaternion"]),
        position_ecef_m=tuple(known["position_ecef_m"]),
        distortion=tuple(known["distortion"]),
        mirrored=known["mirrored"],
    )
    columns = {k: np.array([point[k] for point in points]) for k in ("x", "y", "lon", "lat")}
    return Truth(points=GroundPoints(**columns), camera=camera)


def timing_row(size: str, drawn: SimulatedCase, outcome: Outcome) -> list[str]:
    """One photo of the table."""
    result, truth = outcome.result, outcome.truth
    head = [size, str(drawn.seed), f"{drawn.focal_mm:g}", f"{drawn.truth['off_nadir_deg']:.0f}°"]
    cost = [number(outcome.wall_s, 1), number(outcome.cpu_s, 1), number(outcome.peak_mb, 0)]
    if result is None:
        return [*head, "failed", NONE, NONE, *cost, outcome.problem]
    reasons = ", ".join(reason.code for reason in result.reasons) or NONE
    if outcome.camera is None or truth.camera is None or truth.points is None:
        return [*head, result.verdict, NONE, NONE, *cost, reasons]
    score = score_registration(outcome.camera, result.control_points, truth.camera, truth.points)
    answered = replace(outcome, score=score)
    middle = number(float(np.median(score.error_m)), 0)
    return [*head, result.verdict, middle, control_point_words(answered), *cost, reasons]
