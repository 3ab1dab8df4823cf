"""Lightning of GLM beside ISS-LIS, and clocks of simulated time-lapses.

``python -m benchmarks lightning-match --real FOLDER`` needs ``lightning/`` in it.
The storm of a simulated time-lapse is made of real flashes of GLM, each with all its pulses, put at
random times near their places, since no files of some minutes are at hand; its photos are drawn as
times and places alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.pages import command_of, number, parser, table, title_lines, write_page
from detectors.types import FloatArray
from matchers.geometry.earth import ecef_to_geodetic, local_axes
from regengine.lightning.clock import Clock, ClockParams, find_clock
from regengine.lightning.glm import read_glm
from regengine.lightning.lis import read_lis
from regengine.lightning.match import Sightings, match
from regengine.lightning.pulses import CLOUD_HEIGHT_KM, Pulses, PulseSeries

BOX = (-63.0, -53.0, -38.0, -28.0)  # west, east, south, north of the storm of 2018-07-02
SERIES_S = (-160.0, 400.0)
EVERY_S, FRAMES = 2.0, 100
PLACE_KM, SYSTEMATIC_KM, NEAR_KM = 4.0, 4.0, 15.0  # one sigma along each axis
JITTER_S = 0.02
WIDEST_S = 120.0
RIGHT_S = 0.3
PARAMS = ClockParams(shuffles=1)  # the chance by shuffling is not looked at


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of time-lapse."""

    name: str
    flashes: int = 8
    exposure_s: float = 1.0 / 30.0
    rate_s: float = 1.0  # flashes a second within the box
    unseen: float = 0.3  # share that the photos' detector misses
    false: float = 0.05  # false detections a frame
    missed: float = 0.0  # share that GLM misses
    unrelated: bool = False  # the photos are of another hour of the same storm


CASES = (
    *(Case(name=f"1/30 s, {n} flashes", flashes=n) for n in (4, 5, 6, 8, 12)),
    *(Case(name=f"1 s, {n} flashes", flashes=n, exposure_s=1.0) for n in (8, 12)),
    Case(name="1/30 s, 8 flashes, GLM misses 30 %", missed=0.3),
    Case(name="1/30 s, 8 flashes, GLM misses half, 0.2 false a frame", missed=0.5, false=0.2),
    Case(name="1/30 s, 8 flashes, five flashes a second", rate_s=5.0),
    Case(name="unrelated, 1/30 s, 8 flashes", unrelated=True),
    Case(name="unrelated, 1 s, 8 flashes", unrelated=True, exposure_s=1.0),
)


def real_flashes(files: list[Path]) -> list[Pulses]:
    """Flashes of GLM within the box, each with its pulses, the first at time 0."""
    found = []
    for file in files:
        pulses = read_glm(file, 1e3 * CLOUD_HEIGHT_KM).pulses
        lon, lat, _ = ecef_to_geodetic(pulses.position_ecef_m)
        west, east, south, north = BOX
        inside = (lon > west) & (lon < east) & (lat > south) & (lat < north)
        for flash in np.unique(pulses.flash[inside]):
            one = pulses.select(inside & (pulses.flash == flash))
            found.append(replace(one, time_s=one.time_s - one.time_s.min()))
    return found


def draw_storm(flashes: list[Pulses], rate_s: float, rng: np.random.Generator) -> Pulses:
    """Pulses of a storm by time, in flashes that are numbered anew."""
    first, last = SERIES_S
    drawn = rng.integers(len(flashes), size=rng.poisson(rate_s * (last - first)))
    number = np.repeat(np.arange(len(drawn)), [len(flashes[k].time_s) for k in drawn])
    storm = Pulses.joined([flashes[k] for k in drawn])
    begun_s = rng.uniform(first, last, len(drawn))
    moved_km = NEAR_KM * rng.standard_normal((len(drawn), 2))
    storm = replace(
        storm,
        time_s=storm.time_s + begun_s[number],
        position_ecef_m=move(storm.position_ecef_m, moved_km[number]),
        flash=number,
    )
    return storm.select(np.argsort(storm.time_s, kind="stable"))


def move(position_ecef_m: FloatArray, east_north_km: FloatArray) -> FloatArray:
    """Places moved along the ground: by the same (2,), or each by its own (n, 2)."""
    lon, lat, _ = ecef_to_geodetic(position_ecef_m)
    steps = np.broadcast_to(east_north_km, (len(position_ecef_m), 2))
    return position_ecef_m + 1e3 * np.einsum("ni,nij->nj", steps, local_axes(lon, lat)[:, :2])


def photograph(
    storm: Pulses, case: Case, offset_s: float, rng: np.random.Generator
) -> tuple[Sightings, FloatArray]:
    """Flashes that a time-lapse shows, by a clock to which an offset has to be added."""
    begun_s = EVERY_S * np.arange(FRAMES)
    stamped_s = begun_s - offset_s + JITTER_S * rng.standard_normal(FRAMES)
    faint_km2 = np.median(storm.area_km2)
    frames, places = [], []
    for k, begin_s in enumerate(begun_s):
        low, high = np.searchsorted(storm.time_s, [begin_s, begin_s + case.exposure_s])
        lit = storm.select(np.arange(low, high))
        for flash in np.unique(lit.flash):
            one = lit.select(lit.flash == flash)
            if one.area_km2.sum() > faint_km2 and rng.random() > case.unseen:
                frames.append(k)
                places.append(np.average(one.position_ecef_m, axis=0, weights=one.area_km2))
        for _ in range(rng.poisson(case.false)):
            anywhere = storm.position_ecef_m[rng.integers(len(storm.time_s))][None]
            frames.append(k)
            places.append(move(anywhere, NEAR_KM * rng.standard_normal(2))[0])
    order = rng.permutation(len(frames))[: case.flashes]
    noise_km = PLACE_KM * rng.standard_normal((len(order), 2))
    noise_km += SYSTEMATIC_KM * rng.standard_normal(2)
    start_s = stamped_s[np.array(frames, int)[order]]
    seen = move(np.array(places)[order], noise_km)
    return Sightings(
        start_s=start_s, end_s=start_s + case.exposure_s, position_ecef_m=seen
    ), stamped_s


def try_clocks(
    flashes: list[Pulses], case: Case, trials: int, seed: int
) -> list[tuple[float, Clock]]:
    """Errors of the offsets that are told, seconds, and all that is told."""
    found = []
    for k in range(trials):
        rng = np.random.default_rng([seed, k])
        storm = draw_storm(flashes, case.rate_s, rng)
        offset_s = rng.uniform(-WIDEST_S, WIDEST_S)
        sightings, frames_s = photograph(storm, case, offset_s, rng)
        if len(sightings.start_s) < case.flashes:
            continue
        if case.unrelated:
            storm = draw_storm(flashes, case.rate_s, rng)
        seen = rng.random(int(storm.flash.max()) + 1) >= case.missed
        clock = find_clock(
            sightings, frames_s, storm.select(seen[storm.flash]), 1.5 * JITTER_S, PARAMS
        )
        assert clock is not None
        found.append((abs(clock.offset_s - offset_s), clock))
    return found


def clock_rows(flashes: list[Pulses], trials: int, seed: int) -> list[list[str]]:
    """A row for each case."""
    rows = []
    for case in CASES:
        found = try_clocks(flashes, case, trials, seed)
        errors = np.array([error for error, _ in found])
        sigma_s = np.array([clock.sigma_s for _, clock in found])
        sure = np.array([clock.is_sure for _, clock in found])
        right, fine = errors <= RIGHT_S, sigma_s <= RIGHT_S / 3.0
        told = [
            f"{right.mean():.2f}",
            *(f"{1e3 * q:.0f}" for q in np.quantile(errors[right], [0.5, 0.9])),
            f"{1e3 * np.median(sigma_s):.0f}",
        ] if right.any() else ["–"] * 4  # fmt: skip
        rows.append(
            [
                case.name,
                str(len(found)),
                *(["–"] * 4 if case.unrelated else told),
                f"{sure.mean():.2f}",
                str(np.count_nonzero(sure & (errors > 3.0 * sigma_s) & ~right)),
                f"{(sure & fine).mean():.2f}",
                str(np.count_nonzero(sure & fine & ~right)),
                number(max(clock.margin for _, clock in found), 1),
            ]
        )
    return rows


def pair_rows(glm: PulseSeries, lis: PulseSeries) -> tuple[int, list[list[str]]]:
    """How many groups of ISS-LIS there are in GLM's 20 s, and a row for each tolerance."""
    start_s, end_s = glm.spans_s[0]
    seen = lis.pulses.select((lis.pulses.time_s >= start_s) & (lis.pulses.time_s <= end_s))
    sightings = Sightings(
        start_s=seen.time_s, end_s=seen.time_s, position_ecef_m=seen.position_ecef_m
    )
    rows = []
    for slack_s in (0.002, 0.004, 0.006, 0.01, 0.05):
        found = match(sightings, glm, slack_s)
        paired = found.select(found.pulse >= 0)
        rows.append(
            [
                f"{1e3 * slack_s:g}",
                str(len(paired.pulse)),
                f"{np.median(paired.east_km):+.2f}",
                f"{np.median(paired.north_km):+.2f}",
                f"{1e3 * np.median(paired.time_off_s):+.1f}",
                " / ".join(
                    number(float(q), 1) for q in np.quantile(paired.distance_km, [0.5, 0.9])
                ),
                number(float(paired.chance.sum()), 2),
            ]
        )
    return len(seen.time_s), rows


ABOUT_PAIR = (
    "{count} groups of ISS-LIS within the 20 s of one file of GLM ({when}), both at 13.5 km, each "
    "with the nearest group of GLM within that time and 25 km: medians of GLM less ISS-LIS, and "
    "what is left without the offset of each of the storms, median / 90 %. *By chance* is how many "
    "matches as near would have been found at times drawn at random."
)
ABOUT_CLOCKS = (
    f"{{trials}} simulated time-lapses of each kind: {FRAMES} frames, one each {EVERY_S:g} s, of a "
    "storm of {flashes} real flashes of 2018-07-02 in 10° × 10°, one a second; the detector misses "
    "30 %, and finds 0.05 false ones a frame; places are known to "
    f"{PLACE_KM:g} km and have a common offset of {SYSTEMATIC_KM:g} km (one sigma on each axis), "
    f"times to {1e3 * JITTER_S:g} ms; the clock is up to {WIDEST_S:g} s wrong. *Right*: within "
    f"{RIGHT_S:g} s; errors are of those that are right, sigma is as told. *Sure*: a probability "
    f"of at least {PARAMS.min_probability:g}; *wrong*: those beyond {RIGHT_S:g} s and three sigma. "
    f"*To {RIGHT_S:g} s*: sure, and three sigma are within {RIGHT_S:g} s; *wrong*: those "
    f"beyond {RIGHT_S:g} s. Of *unrelated* ones the files are of another hour of the same "
    "storm: none may be sure."
)


def main(argv: list[str]) -> int:
    """Measure and print; 0 when done."""
    given = parser("lightning-match", __doc__)
    given.add_argument("--real", type=Path, required=True, help="folder with lightning/")
    given.add_argument("--trials", type=int, default=100, help="time-lapses of each kind")
    given.add_argument("--seed", type=int, default=0)
    options = given.parse_args(argv)
    folder = options.real / "lightning"
    (lis_file,) = folder.glob("ISS_LIS_SC_*.nc")
    glm, lis = (
        read(file, 1e3 * CLOUD_HEIGHT_KM)
        for read, file in ((read_glm, next(folder.glob("*_s2020236*.nc"))), (read_lis, lis_file))
    )
    count, pairs = pair_rows(glm, lis)
    flashes = real_flashes(sorted(folder.glob("*_s2018183*.nc")))
    lines = [
        "## GLM and ISS-LIS",
        "",
        ABOUT_PAIR.format(count=count, when=glm.first_and_last),
        "",
        *table(
            "within (ms) | matched | east (km) | north (km) | time (ms) | left (km) | by chance",
            pairs,
            right=7,
        ),
        "",
        "## Clocks of time-lapses",
        "",
        ABOUT_CLOCKS.format(trials=options.trials, flashes=len(flashes)),
        "",
        *table(
            "time-lapse | tried | right | error 50 % (ms) | 90 % | sigma (ms) | sure | wrong | "
            f"to {RIGHT_S:g} s | wrong | highest margin",
            clock_rows(flashes, options.trials, options.seed),
            right=10,
        ),
    ]
    command = command_of("lightning-match", argv)
    title = title_lines("Lightning and clocks beside GLM and ISS-LIS", command, "")
    write_page(options.out, "lightning-match", [*title, *lines])
    return 0
