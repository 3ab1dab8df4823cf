"""Do real element sets err as the engine believes? The Station by one set, predicted by an older.

The set nearest to a moment stands for the truth; the catalogue has a real one that was issued
before it, reboosts and all.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.registration_report import table
from benchmarks.satellite_trials import below, looking, measured, solved
from benchmarks.simulate.satellite_catalogue import SimulatedSky
from benchmarks.simulate.satellite_frame import (
    SkyFrame,
    pointed,
    sunlit,
    true_states,
    true_streaks,
)
from regengine.earth_rotation import utc_of
from regengine.satellites.catalogue import load_catalogue
from regengine.satellites.exposure import Exposure
from regengine.satellites.named import satellites_in_picture
from regengine.satellites.observer import GroundSite
from regengine.tle import TleSet, load_tle_file

MOMENTS = 50
AGES_DAYS, WITHIN = (0.25, 1.0, 1.6), 1.25
EXPOSURE_S, CLOCK_S, FOCAL_PX = 5.0, 0.3, 2600.0


def station_section(real: Path, seed: int) -> list[str]:
    """A table by the age of the sets, as Markdown lines."""
    tles = load_tle_file(real / "orbit" / "iss_tles.txt")
    rng = np.random.default_rng([seed, 5])
    rows = []
    for least in AGES_DAYS:
        ahead, probability = np.array(_outcomes(tles, least, rng)).T
        middle, most = np.nanquantile(np.abs(ahead), [0.5, 0.9])
        rows.append(
            [
                f"{least:g} to {WITHIN * least:g}",
                str(len(ahead)),
                f"{middle:.2f} / {most:.1f}",
                f"{np.mean(probability >= 0.5):.1%}",
                f"{np.mean(probability >= 0.9):.1%}",
            ]
        )
    header = ("age, days", "frames", "off by s, median / 90 %", "P ≥ 0.5", "P ≥ 0.9")
    return [
        "## Real element sets",
        "",
        "Moments of 1998 to 2026 at which the Station was sunlit: its orbit is that of its nearest "
        "real set, the catalogue has it alone, by a real set older than that; reboosts are part "
        f"of it. Frames of 60° from the ground, {EXPOSURE_S:g} s, clocks of {CLOCK_S:g} s.",
        "",
        *table(header, rows, 4),
        "",
    ]


def _outcomes(tles: TleSet, least: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """By how many seconds the Station was ahead, and the probability of its name, of each frame."""
    days = tles.epoch_days
    found: list[tuple[float, float]] = []
    for true in rng.permutation(len(tles)).tolist():
        old = int(np.searchsorted(days, days[true] - least, side="right")) - 1
        if old < 0 or days[true] - days[old] > WITHIN * least:
            continue
        if tles.disagreement(true) or tles.disagreement(old):
            continue
        outcome = _outcome(_sky(tles, true, old), rng)
        if outcome is not None:
            found.append(outcome)
        if len(found) == MOMENTS:
            break
    return found


def _sky(tles: TleSet, true: int, old: int) -> SimulatedSky:
    """A sky with the Station alone."""
    told = tles[old]
    return SimulatedSky(
        time_utc=utc_of(tles.epoch_days[true]),
        names=("ISS",),
        numbers=(told.satellite,),
        true=(tles[true].satrec(),),
        lines=((told.line1, told.line2),),
        age_days=np.array([tles.epoch_days[true] - tles.epoch_days[old]]),
        magnitude=np.array([-1.0]),
        trains=np.zeros(0, np.intp),
    )


def _outcome(sky: SimulatedSky, rng: np.random.Generator) -> tuple[float, float] | None:
    start = sky.time_utc
    if not sunlit(true_states(sky, np.array([0]), start)[0], start)[0]:
        return None
    lat, lon = below(sky, 0, start)
    site = GroundSite(
        lat=float(np.clip(lat + rng.normal(0.0, 3.0), -89.0, 89.0)), lon=lon + rng.normal(0.0, 3.0)
    )
    frame = SkyFrame(
        start_utc=start,
        exposure_s=EXPOSURE_S,
        site=(site.lat, site.lon, site.height_m),
        station=None,
        matrix=np.eye(3),
        width_px=3000,
        height_px=2000,
        focal_px=FOCAL_PX,
        k1=0.0,
        limit_mag=9.0,
    )
    axis = looking(sky, frame, 0, rng)
    frame = replace(frame, matrix=pointed(axis, rng.uniform(0.0, 2.0 * np.pi)))
    drawn = true_streaks(sky, frame)
    if not drawn:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "station.txt"
        path.write_text(sky.text(), encoding="utf-8")
        satellites = load_catalogue(path).at(start)
    exposure = Exposure(
        field=solved(frame, rng),
        start_utc=start + timedelta(seconds=float(rng.normal(0.0, CLOCK_S))),
        exposure_s=EXPOSURE_S,
        observer=site,
        clock_sigma_s=CLOCK_S,
    )
    naming = satellites_in_picture(satellites, exposure, [measured(drawn[0], rng)]).namings[0]
    if not len(naming.order):
        return np.nan, 0.0
    return float(naming.evidence.ahead_s[naming.order[0]]), float(naming.probability[0])
