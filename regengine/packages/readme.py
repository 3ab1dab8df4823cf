"""The README of a package: what, where, when, how well placed, and whom to credit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from regengine.frame_id import archive_frame_id
from regengine.packages.calibration import KINDS, CalibrationFile
from regengine.packages.frames import PHOTOS, PackedFrame
from regengine.page.text import shown

# As NASA's Gateway to Astronaut Photography of Earth asks for it
COURTESY = "Image courtesy of the Earth Science and Remote Sensing Unit, NASA Johnson Space Center"
_MARKUP = re.compile(r"([\\`*_\[\]<>|#~$])")
_CHECK = """\
## Check

    sha256sum -c SHA256SUMS

tells whether every file is as it was packed. Photos are byte for byte those that were registered.
"""
_CONVENTIONS = """\
Pixels `x`, `y` are column and row, zero-based, with whole numbers at pixel centres of the photo as
stored: no EXIF orientation is applied. `lon`, `lat` are WGS84, degrees. Each sigma is one standard
deviation per axis. The camera is OpenCV's pinhole with `k1, k2, p1, p2, k3`; `quaternion` is
[x, y, z, w] and rotates camera vectors (x right, y down, z forward) into ECEF, `position_ecef_m` is
where the camera was; `mirrored`: x is replaced by width - 1 - x before projection.
"""


def readme(
    title: str,
    chosen: str,
    frames: Sequence[PackedFrame],
    calibration: Sequence[CalibrationFile],
    failed: Mapping[str, str],
    version: str,
) -> str:
    """The text, Markdown.

    Parameters
    ----------
    title : str
        Name of the place.
    chosen : str
        How frames were chosen, a sentence.
    frames : sequence of PackedFrame
    calibration : sequence of CalibrationFile
    failed : mapping of str to str
        Frames that were chosen and are not there, and why.
    version : str
        Of the program.
    """
    parts = [
        f"# Night photographs: {plain(title)}\n",
        f"{len(frames)} photograph{'s' * (len(frames) != 1)} from the International Space Station, "
        f"placed on the map and packed by regengine {version}. {chosen}\n",
        _photo_table(frames),
        _placed(frames),
        _credit(frames),
        _files(frames, calibration),
        _CHECK,
    ]
    if failed:
        lines = [f"- {plain(name)}: {plain(why)}" for name, why in failed.items()]
        parts.append("## Chosen, but not here\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def plain(text: object) -> str:
    """Text of strangers that Markdown takes for text."""
    return _MARKUP.sub(r"\\\1", shown(str(text)))


def _photo_table(frames: Sequence[PackedFrame]) -> str:
    lines = [
        "## What, where, when\n",
        "| photo | frame | taken (UTC) | camera, lens | middle (lat, lon) | near | off nadir | "
        "m/pixel | quality |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in frames:
        result, row = one.frame.result, one.row
        lens = "" if result.focal_mm is None else f", {result.focal_mm:g} mm"
        cells = (
            plain(one.name),
            plain(result.frame),
            result.time_utc or "unknown",
            plain(result.camera_body or "unknown") + lens,
            _number(row["centre_lat"], ".4f") + ", " + _number(row["centre_lon"], ".4f"),
            _near(row),
            _number(row["off_nadir_deg"], ".1f", "°"),
            _number(row["resolution_m"], ".0f"),
            _number(row["quality"], ".2f"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _near(row: Mapping[str, Any]) -> str:
    if not row["city"]:
        return ""
    away = _number(row["city_km"], ".0f", " km")
    return f"{plain(', '.join(filter(None, (row['city'], row['country']))))} ({away})"


def _placed(frames: Sequence[PackedFrame]) -> str:
    lines = ["## How each was placed\n"]
    lines += [f"- {plain(one.frame.result.frame)}: {_how(one)}" for one in frames]
    return "\n".join(lines) + "\n"


def _how(one: PackedFrame) -> str:
    frame, result = one.frame, one.frame.result
    sigmas = [point.sigma_m for point in frame.points if point.sigma_m is not None]
    known = f"; control points known to {max(sigmas):.0f} m or better" if sigmas else ""
    points = f"{len(frame.points)} control points{known}"
    engine = f"by its city lights on the map {plain(result.lights or 'of an unknown name')}"
    nadir = result.nadir
    if nadir is not None:
        age = "" if nadir.tle_age_h is None else f", {abs(nadir.tle_age_h):.0f} h from its epoch"
        source = {"tle": "element set", "record": "archive's record", "option": "given nadir"}
        engine += f", starting from the {source.get(nadir.source, nadir.source)}{age}"
    probability = (
        "" if result.probability is None else f" with a probability of {_odds(result.probability)}"
    )
    review = frame.review
    if review is not None and frame.accepted_by_person:
        by = sorted({point.origin for point in frame.points})
        return (
            f"accepted by {plain(review.reviewer)} on {review.time_utc[:10]} (points by "
            f"{', '.join(by)}; {points}). The engine had placed it {engine}{probability}."
        )
    return f"{engine}; verdict {frame.verdict}{probability}; {points}."


def _odds(probability: float) -> str:
    """As many digits as tell it from 1."""
    for digits in range(2, 8):
        text = f"{probability:.{digits}f}"
        if float(text) < 1.0:
            return text
    return f"{probability!r}"


def _credit(frames: Sequence[PackedFrame]) -> str:
    lines = ["## Credit\n"]
    for one in frames:
        archive = archive_frame_id(one.frame.result.frame)
        said = (
            f"{COURTESY} ({archive})."
            if archive
            else "its name is none of NASA's archive: ask whoever took it."
        )
        lines.append(f"- {plain(one.name)}: {said}")
    maps = sorted({one.frame.result.lights for one in frames if one.frame.result.lights})
    if maps:
        lines.append(
            f"- Night-light maps that were used: {', '.join(map(plain, maps))}; cite them as their "
            "producers ask."
        )
    lines.append("- Names of places: GeoNames (geonames.org), CC BY 4.0.")
    return "\n".join(lines) + "\n"


def _files(frames: Sequence[PackedFrame], calibration: Sequence[CalibrationFile]) -> str:
    lines = [
        "## Files\n",
        f"- `{PHOTOS}/`: the photos; beside each, `PHOTO.points` for the QGIS georeferencer, which "
        "loads it by itself",
        "- `cameras/PHOTO.json`: solved camera, control points and what is known of the photo",
        "- `frames.csv`, `points.csv`: the same as tables",
        "- `footprints.geojson`: the ground that the photos show",
    ]
    for kind, says in KINDS.items():
        files = [file for file in calibration if file.kind == kind]
        if files:
            lines.append(f"- `calibration/{kind}/`: {says}")
        for file in files:
            fitting = [plain(one.frame.result.frame) for one in frames if file.fits(one)]
            of = f" (of {', '.join(fitting)})" if fitting else ""
            lines.append(f"  - {plain(file.name.rpartition('/')[2])}{of}")
    return "\n".join([*lines, "", _CONVENTIONS])


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "unknown" if value is None else f"{value:{form}}{unit}"
