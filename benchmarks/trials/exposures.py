"""Camera settings of real night frames, and what light and noise they mean for a photograph."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from benchmarks.rows import read_csv
from regengine.photo.frame import CameraBody, find_body

# What a trial shows
Kind = Literal[
    "city", "dark", "stars", "aurora", "noise", "elsewhere", "other_time", "mirrored_map", "cupola"
]
KINDS = get_args(Kind)
SHORTEST_MM, LONGEST_MM = 24.0, 400.0
WIDE_MM = 36.0
STARS_MM = 60.0
# Through the Cupola: on a full frame the diagonal covers 75 degrees and more
CUPOLA_MM = (16.0, 28.0)
FULL_FRAME_LEAST_MM = 35.0
# 6 % of the records: time-lapses, which look aside with wide lenses, are not among them.
WIDE_SHARE = 0.18
# A sensor is full at 78 lux s / ISO (ISO 12232, saturation-based speed).
SATURATION_LUX_S = 78.0
LENS_TRANSMISSION = 0.9
# Candela per square metre of one nW cm^-2 sr^-1 in the band of VIIRS (0.5 to 0.9 um): 1e-5 W m^-2
# sr^-1 of sodium light and of white diodes is about 300 lm W^-1 there.
CD_M2_PER_NW = 3.0e-3
FULL_WELL_PER_UM2 = 1200.0  # electrons at ISO 200: 84,000 of the D3S's pixel of 8.46 um
READ_NOISE_ELECTRONS = {"NIKON D2Xs": 8.0, "KODAK DCS 760": 20.0, "NIKON D1": 20.0}
USUAL_READ_NOISE = 4.0  # of the D3S above ISO 3200


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Settings of one frame."""

    body: CameraBody
    focal_mm: float
    exposure_s: float
    aperture_f: float
    iso: float

    def saturation_nw(self) -> float:
        """Radiance that fills the sensor, nW cm^-2 sr^-1."""
        lux = SATURATION_LUX_S / (self.iso * self.exposure_s)
        luminance = lux * 4.0 * self.aperture_f**2 / (np.pi * LENS_TRANSMISSION)
        return float(luminance / CD_M2_PER_NW)

    def full_well_electrons(self) -> float:
        return FULL_WELL_PER_UM2 * self.body.native_pitch_um**2 * 200.0 / self.iso

    def read_noise_electrons(self) -> float:
        return READ_NOISE_ELECTRONS.get(self.body.name, USUAL_READ_NOISE)


def read_exposures(path: Path) -> tuple[Exposure, ...]:
    """Complete settings among the archive's records of night frames."""
    found = []
    for row in read_csv(path):
        body = find_body(row["camera"])
        numbers = [_number(row[name]) for name in ("focal_mm", "shutter", "aperture", "iso")]
        if body is None or None in numbers:
            continue
        f, t, n, iso = (float(number or 0.0) for number in numbers)
        if SHORTEST_MM <= f <= LONGEST_MM and 0.002 < t < 1.0 and iso >= 400:
            found.append(Exposure(body=body, focal_mm=f, exposure_s=t, aperture_f=n, iso=iso))
    return tuple(found)


def _number(text: str) -> float | None:
    """The first number or fraction of a field such as "1/40", "F1.4", "1.3s" or "Hi 6400"."""
    found = re.search(r"(\d+(?:\.\d+)?)(?:/(\d+(?:\.\d+)?))?", text)
    if found is None:
        return None
    value = float(found[1]) / float(found[2] or 1.0)
    return value if value > 0.0 else None


def made_exposures() -> tuple[Exposure, ...]:
    """A small table for where there are no records: lenses by use, usual settings of each."""
    d3s, d4 = find_body("NIKON D3S"), find_body("NIKON D4")
    if d3s is None or d4 is None:  # both stand in the table of bodies
        raise LookupError("The table of camera bodies lacks the D3S and the D4.")
    rows = (
        *((28.0, 0.05, 1.4), (35.0, 0.05, 1.4), (50.0, 0.01, 1.4), (58.0, 0.01, 1.2)),
        *((85.0, 0.01, 1.4), (85.0, 0.0125, 1.6), (180.0, 0.025, 2.8), (400.0, 0.025, 2.8)),
    )
    return tuple(
        Exposure(body=body, focal_mm=f, exposure_s=t, aperture_f=n, iso=6400.0)
        for body in (d3s, d4)
        for f, t, n in rows
    )


def draw_exposure(
    rng: np.random.Generator, exposures: tuple[Exposure, ...], kind: Kind
) -> Exposure:
    """One of the records, wide lenses more often than they stand there.

    Stars and aurorae are taken with wide lenses and long exposures; so are half of the dark
    frames, which would else be black. Through the Cupola lenses are wider than the records', and
    their exposures long.
    """
    if kind == "cupola":
        return _draw_cupola_exposure(rng, exposures)
    long_exposed = kind in ("stars", "aurora") or (kind == "dark" and rng.random() < 0.5)
    widest = STARS_MM if long_exposed else WIDE_MM
    wide = np.array([e.focal_mm < widest for e in exposures])
    pick_wide = long_exposed or rng.random() < WIDE_SHARE
    pool = np.flatnonzero(wide == pick_wide)
    chosen = exposures[int(pool[int(rng.integers(len(pool)))])]
    if long_exposed:
        seconds = float(np.exp(rng.uniform(np.log(0.2), np.log(1.0))))
        chosen = replace(chosen, exposure_s=round(max(chosen.exposure_s, seconds), 2))
    return chosen


def _draw_cupola_exposure(rng: np.random.Generator, exposures: tuple[Exposure, ...]) -> Exposure:
    """A full frame behind a lens of 16 to 28 mm, exposed as 23 real frames of 15 to 28 mm are."""
    bodies = sorted(
        {one.body.name: one.body for one in exposures if one.body.long_mm > FULL_FRAME_LEAST_MM}
    )
    body = find_body(bodies[int(rng.integers(len(bodies)))])
    assert body is not None
    return Exposure(
        body=body,
        focal_mm=float(round(rng.uniform(*CUPOLA_MM))),
        exposure_s=round(float(np.exp(rng.uniform(np.log(0.1), np.log(1.3)))), 2),
        aperture_f=float(rng.choice([1.4, 1.8, 2.8], p=[0.6, 0.2, 0.2])),
        iso=float(rng.choice([3200, 5000, 6400, 8000, 10000, 12800])),
    )
