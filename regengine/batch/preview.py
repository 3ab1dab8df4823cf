"""What a run would do, without doing it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from regengine.errors import EphemerisError, FrameError
from regengine.io.urls import Url
from regengine.orbit.position import choose_position
from regengine.orbit.propagation import CameraPosition
from regengine.orbit.tle import TleSet
from regengine.photo.frame import Frame, read_frame
from regengine.photo.frame_records import archive_frame_id
from regengine.pipeline import RunInputs
from regengine.records import degrees_text, printable
from regengine.registration.blind.options import BlindOptions
from regengine.registration.outcome import iso_utc


def preview(
    photos: Sequence[Path | Url],
    inputs: RunInputs,
    *,
    stored: Mapping[Path | Url, str],
    as_json: bool,
) -> Iterator[str]:
    """Say of each photo what is known of it and where the search would start.

    Parameters
    ----------
    photos : sequence of Path or Url
        The photos; their pictures are not decoded, and nothing is fetched.
    inputs : RunInputs
        What the run was given.
    stored : mapping of Path or Url to str
        Verdicts of the photos that the run would take from its store.
    as_json : bool
        NDJSON instead of text.

    Yields
    ------
    str
        One line a photo.
    """
    _, tles, records = inputs.open()
    for path in photos:
        facts: dict[str, Any] = {
            "frame": printable(archive_frame_id(path.stem) or path.stem),
            "path": printable(str(path)),
            "stored": stored.get(path),
        }
        if isinstance(path, Url):
            facts["would_fetch"] = path not in stored
            yield json.dumps(facts) if as_json else _text(facts)
            continue
        try:
            frame = read_frame(path, records=records, options=inputs.frame)
            facts |= _known(frame) | _start(_position(frame, tles, inputs.blind))
        except (FrameError, EphemerisError) as error:
            facts |= {"would_register": False, "reason": error.code, "reason_text": str(error)}
        else:
            facts["would_register"] = path not in stored
        yield json.dumps(facts) if as_json else _text(facts)


def _known(frame: Frame) -> dict[str, Any]:
    return {
        "time_utc": None if frame.time_utc is None else iso_utc(frame.time_utc),
        "camera_body": frame.camera_body,
        "focal_mm": frame.focal_mm,
        "pixel_pitch_um": frame.pixel_pitch_um,
        "sources": frame.sources,
    }


def _position(
    frame: Frame, tles: TleSet | None, blind: BlindOptions | None
) -> CameraPosition | None:
    """Where the search would start; None for a search by lights alone."""
    if blind is not None and blind.always:
        return None
    try:
        return choose_position(frame, tles)
    except EphemerisError:
        if blind is None:
            raise
        return None


def _start(position: CameraPosition | None) -> dict[str, Any]:
    if position is None:
        return {"nadir": None}
    nadir = {"lon": position.lon, "lat": position.lat, "altitude_km": position.altitude_km}
    return {"nadir": nadir | {"source": position.source, "tle_age_h": position.tle_age_h}}


def _text(facts: dict[str, Any]) -> str:
    if facts["stored"] is not None:
        return f"{facts['frame']:<24}  done: {facts['stored']}"
    if "would_fetch" in facts:
        return f"{facts['frame']:<24}  would be fetched first"
    if not facts["would_register"]:
        return f"{facts['frame']:<24}  {facts['reason']}: {facts['reason_text']}"
    nadir, place = facts["nadir"], "anywhere on Earth, by its lights"
    if nadir is not None:
        place = f"nadir {degrees_text(nadir['lon'], nadir['lat'])} from {nadir['source']}"
    lens = "focal length unknown" if facts["focal_mm"] is None else f"{facts['focal_mm']:g} mm"
    return f"{facts['frame']:<24}  {facts['time_utc'] or 'time unknown'}  {place}  {lens}"
