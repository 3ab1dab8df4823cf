"""Convert frame results to the NDJSON records of docs/records.md, and to text."""

from __future__ import annotations

import json
from typing import Any

from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from matchers.geometry.footprint import centre_lonlat
from regengine.io.plain import format_count, make_printable, plain
from regengine.store.result import FrameResult, NadirInput, Reviewed, decide_state
from regengine.store.rows import OF_FRAME, read_value

Record = dict[str, Any]
REVIEW_FIELDS = ("decision", "reviewer", "time_utc", "disputed")


def record(result: FrameResult, review: Reviewed | None = None) -> Record:
    """Make the record of one frame from JSON values, with its keys in the documented order.

    Numbers are finite; missing values are None. With a person's decision, the verdict is the state
    that follows from it, and ``decision`` says who made it and when.
    """
    values = tell_record(result, "record")
    if review is not None:
        values["verdict"] = decide_state(result.verdict, review)
        values["decision"] = {
            **{name: getattr(review, name) for name in REVIEW_FIELDS},
            "engine_verdict": result.verdict,
        }
    return {key: plain(value, make_printable) for key, value in values.items()}


def tell_record(result: FrameResult, product: str) -> Record:
    """Make an object of the fields that a product has, with objects within it as in records."""
    values: Record = {}
    for one in OF_FRAME:
        if product not in one.where:
            continue
        name, _, key = one.record.partition(".")
        value = read_value(result, one.path) if one.tell is None else one.tell(result)
        if not key:
            values[name] = value
        elif "." in one.path and getattr(result, one.path.split(".")[0]) is None:
            values[name] = None
        else:
            values.setdefault(name, {"model": "pinhole"} if name == "camera" else {})[key] = value
    return values


def record_line(result: FrameResult, review: Reviewed | None = None) -> str:
    """Make the record of one frame as one line of JSON, without the line break."""
    return json.dumps(record(result, review), allow_nan=False)


VERDICT_WORDS = {
    "accepted": "ACCEPTED: usable without checking",
    "review": "REVIEW: needs a human check",
    "no_match": "NO MATCH: no match better than chance, or nothing to register",
    "failed": "FAILED: the photo could not be processed",
    "rejected": "REJECTED: a person rejected the proposal",
}


def degrees_text(lon: float, lat: float, *, digits: int = 2) -> str:
    """Format a place as latitude and longitude with hemispheres: ``35.18 N 136.91 E``."""
    north, east = "N" if lat >= 0 else "S", "E" if lon >= 0 else "W"
    return f"{abs(lat):.{digits}f} {north} {abs(lon):.{digits}f} {east}"


def centre_text(result: FrameResult, *, digits: int = 2) -> str:
    """Format the ground at the centre, see `ground_text`; empty without a solution."""
    return "" if result.solved is None else ground_text(result.solved.camera, digits=digits)


def ground_text(camera: Camera, *, digits: int = 2) -> str:
    """Format the ground at the centre of the image; ``sky`` where it shows none."""
    lon, lat = centre_lonlat(camera)
    return "sky" if lon != lon else degrees_text(lon, lat, digits=digits)


def prior_nadir(result: FrameResult) -> NadirInput | None:
    """Nadir from element set, option or record; None if only the lights determine the place."""
    nadir = result.nadir
    return None if nadir is None or nadir.source == "lights" else nadir


def nadir_text(camera: Camera, *, digits: int = 2) -> str:
    """Format the nadir of a solved camera, and its altitude."""
    lon, lat, height_m = (float(value) for value in ecef_to_geodetic(camera.position_ecef_m))
    return f"{degrees_text(lon, lat, digits=digits)}, {height_m / 1e3:.{max(digits - 2, 0)}f} km"


def summary_words(result: FrameResult) -> list[str]:
    """List the quality figures of a result as short phrases; empty without any."""
    words, prior = [], prior_nadir(result)
    if result.probability is not None:
        words.append(f"probability {probability_words(result)}")
    if result.fit is not None:
        words += [
            f"correlation {result.fit.ncc:.2f}"
            + ("" if (margin := margin_of(result)) is None else f", margin {margin:.2f}"),
            format_count(result.fit.matched_lights, "matched light")
            if result.reference_kind == "lights"
            else f"placed on {result.reference_kind}: {evidence_text(result)}",
            f"residual {result.fit.residual_px:.1f} px ({result.fit.residual_m:.0f} m)",
        ]
    if result.solved is not None:
        words += [
            f"centre {centre_text(result)}",
            f"off-nadir {result.solved.off_nadir_deg:.0f}°",
            f"focal length {result.solved.camera.focal_px:.0f} px",
        ]
        if offset := offset_text(result):
            words.append(f"along-track {offset}")
        if result.solved.camera.mirrored:
            words.append("mirrored")
        if result.solved.camera.pixel_aspect is not None:
            words.append(f"stretched pixels, aspect {result.solved.camera.pixel_aspect:.3f}")
        words.append(f"nadir {nadir_text(result.solved.camera)}")
    if prior is not None:
        place = degrees_text(prior.lon, prior.lat)
        assumed = " assumed" if dict(result.sources).get("altitude_km") == "assumed" else ""
        words.append(f"prior nadir {place}, {prior.altitude_km:.0f} km{assumed} ({prior.source})")
    if result.time_utc is not None:
        words.append(result.time_utc)
    if result.orientation != 1:
        words.append(f"shown as stored, EXIF orientation {result.orientation}")
    return words


def offset_text(result: FrameResult) -> str:
    """Format the offset along the orbit: ``+6.94 ± 0.31 s``; empty without one."""
    solved = result.solved
    if not result.is_timed or solved is None or solved.along_track_offset_s is None:
        return ""
    if solved.along_track_sigma_s is None:
        return f"{solved.along_track_offset_s:+.0f} s, not determined by the photo"
    return f"{solved.along_track_offset_s:+.2f} ± {solved.along_track_sigma_s:.2f} s"


def evidence_text(result: FrameResult) -> str:
    """Format the evidence of a match: ``57 lights``, or ``41/64 patches`` of streets or a day map.

    Patches are held-out patches at the finest scale. The text is empty without a fit.
    """
    if result.fit is None:
        return ""
    if result.reference_kind == "lights":
        return format_count(result.fit.matched_lights, "light")
    proofs = result.proofs
    return f"{proofs[-1].n_agreeing}/{proofs[-1].n_patches} patches" if proofs else "patches"


def margin_of(result: FrameResult) -> float | None:
    """Correlation minus that of the best distinct other camera; None without a comparison.

    On streets and day maps a camera is compared with chance, not with another camera.
    """
    if result.fit is None or result.reference_kind != "lights":
        return None
    return result.fit.margin


def probability_words(result: FrameResult) -> str:
    """Format the probability with its interval: ``0.98 (0.97 to 1)``; empty without one."""
    text = probability_text(result.probability)
    if result.probability_low is None or result.probability_high is None:
        return text
    low, high = (
        f"{limit:.0f}" if limit in (0.0, 1.0) else probability_text(limit)
        for limit in (result.probability_low, result.probability_high)
    )
    return f"{text} ({low} to {high})"


def probability_text(probability: float | None) -> str:
    """Format a probability with enough digits to distinguish it from 0 and 1."""
    if probability is None:
        return ""
    if 0.01 <= probability <= 0.99:
        return f"{probability:.2f}"
    text = f"{probability:.4f}"
    if text in ("0.0000", "1.0000"):
        return "<0.0001" if probability < 0.5 else ">0.9999"
    return text
