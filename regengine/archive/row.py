"""What an archive or its users know of one photo, from however many tables."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime

# From where on two tables contradict each other. Clocks of cameras are off by up to half a minute;
# nadirs are printed to 0.1 degrees, and drift by up to 180 km on some days.
OTHER_TIME_S = 60.0
OTHER_NADIR_DEG = 2.0
OTHER_FOCAL = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameRow:
    """One photo; None or empty where nobody tells.

    Attributes
    ----------
    frame_id : str
        As the archive writes it, ``ISS030-E-184140``.
    time_utc : datetime or None
        Aware, UTC.
    nadir_lat, nadir_lon : float or None
        Degrees, geodetic.
    altitude_km : float or None
        Above WGS84.
    camera : str
        Body, with its serial number where the table has it.
    focal_mm, exposure_s, aperture_f, iso : float or None
        Of the lens and the exposure.
    centre_lat, centre_lon : float or None
        Where the picture's centre was put by people, degrees.
    place_lat, place_lon : float or None
        What the table says the photo shows, such as a city, or a position of which it does not
        say what it is.
    place, features, caption : str
        In words.
    sun_azimuth_deg, sun_elevation_deg : float or None
        At the nadir.
    cloud_percent : float or None
        As people estimated it.
    record_type : str
        The archive's word for how far the photo is catalogued.
    problems : tuple of str
        A sentence for each value that is left out, or that tables disagree on.
    sources : tuple of str
        Names of the files or tables that tell of it.
    """

    frame_id: str
    time_utc: datetime | None = None
    nadir_lat: float | None = None
    nadir_lon: float | None = None
    altitude_km: float | None = None
    camera: str = ""
    focal_mm: float | None = None
    exposure_s: float | None = None
    aperture_f: float | None = None
    iso: float | None = None
    centre_lat: float | None = None
    centre_lon: float | None = None
    place_lat: float | None = None
    place_lon: float | None = None
    place: str = ""
    features: str = ""
    caption: str = ""
    sun_azimuth_deg: float | None = None
    sun_elevation_deg: float | None = None
    cloud_percent: float | None = None
    record_type: str = ""
    problems: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


LISTS = ("problems", "sources")
COLUMNS = tuple(field.name for field in fields(FrameRow))
# Values that only make sense together
PAIRS = (("nadir_lat", "nadir_lon"), ("centre_lat", "centre_lon"), ("place_lat", "place_lon"))
_ALONE = tuple(
    name
    for name in COLUMNS
    if name != "frame_id" and name not in LISTS and all(name not in pair for pair in PAIRS)
)


def merged(first: FrameRow, second: FrameRow) -> FrameRow:
    """One row out of two of the same photo.

    Parameters
    ----------
    first : FrameRow
        Each of its values counts.
    second : FrameRow
        Fills what the first does not tell; where both tell something else, a sentence is added.

    Returns
    -------
    FrameRow
    """
    given = {name: getattr(second, name) for name in _ALONE if _lacks(first, name)}
    for pair in PAIRS:
        if any(_lacks(first, name) for name in pair):
            given |= {name: getattr(second, name) for name in pair}
    told = dict.fromkeys((*first.problems, *second.problems, *_contradictions(first, second)))
    sources = dict.fromkeys((*first.sources, *second.sources))
    return replace(first, **given, problems=tuple(told), sources=tuple(sources))


def _lacks(row: FrameRow, name: str) -> bool:
    return getattr(row, name) in (None, "")


def _contradictions(first: FrameRow, second: FrameRow) -> list[str]:
    found = []
    who = "/".join(second.sources) or "another table"
    if first.time_utc is not None and second.time_utc is not None:
        apart_s = abs((first.time_utc - second.time_utc).total_seconds())
        if apart_s > OTHER_TIME_S:
            found.append(f"{who} has the time {second.time_utc:%Y-%m-%dT%H:%M:%SZ}")
    if None not in (first.nadir_lat, first.nadir_lon, second.nadir_lat, second.nadir_lon):
        assert first.nadir_lat is not None
        assert second.nadir_lat is not None
        assert first.nadir_lon is not None
        assert second.nadir_lon is not None
        east = abs(first.nadir_lon - second.nadir_lon) % 360.0
        apart_deg = max(abs(first.nadir_lat - second.nadir_lat), min(east, 360.0 - east))
        if apart_deg > OTHER_NADIR_DEG:
            found.append(f"{who} has the nadir {second.nadir_lat:g}, {second.nadir_lon:g}")
    if first.focal_mm and second.focal_mm:
        ratio = second.focal_mm / first.focal_mm
        if not 1.0 - OTHER_FOCAL <= ratio <= 1.0 + OTHER_FOCAL:
            found.append(f"{who} has the focal length {second.focal_mm:g} mm")
    return found
